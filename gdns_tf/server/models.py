"""The models of a server, as its configuration names them, which may change while it runs."""

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tensorflow_serving.apis import get_model_status_pb2, model_pb2
from tensorflow_serving.config import model_server_config_pb2

from gdns_tf.server.metrics import Metrics, label_text
from gdns_tf.server.refusal import Refusal, invalid
from gdns_tf.server.servable import Servable
from gdns_tf.server.versions import Versions, not_found
from pipelines.errors import InputError
from pipelines.paths import as_path, is_remote

ServerConfig = model_server_config_pb2.ModelServerConfig
_PLATFORM = "tensorflow"


class Models(Mapping[str, Versions]):
    """Name -> versions of a model. Safe to use from several threads."""

    def __init__(self, config: ServerConfig, metrics: Metrics, poll_seconds: float) -> None:
        """Loads all models, and goes on looking for new versions of them.

        Args:
          config: the models, in its `model_config_list`.
          metrics, poll_seconds: as for `Versions`.

        Raises:
          InputError: a model's folder is not there, or is none.
        """
        self._metrics, self._poll_seconds = metrics, poll_seconds
        self._models: dict[str, Versions] = {}
        self._reloading = threading.Lock()
        check_config(config)
        for model in config.model_config_list.config:
            self._models[model.name] = Versions(model, metrics, poll_seconds)

    def __getitem__(self, name: str) -> Versions:
        return self._models[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._models))

    def __len__(self) -> int:
        return len(self._models)

    @contextlib.contextmanager
    def lease(self, spec: model_pb2.ModelSpec) -> Iterator[Servable]:
        """The version that a request asks for, which stays open until the block ends.

        Raises:
          Refusal: there is none.
        """
        versions, number = self._models.get(spec.name), self._number(spec)
        if versions is None:
            raise not_found(spec.name, number)
        with versions.lease(number) as servable:
            yield servable

    def status(self, spec: model_pb2.ModelSpec) -> get_model_status_pb2.GetModelStatusResponse:
        """The states of a model's versions.

        Raises:
          Refusal: there is no such model or version.
        """
        number = spec.version.value if spec.HasField("version") else None
        versions = self._models.get(spec.name)
        if versions is None:
            what = "any versions" if number is None else f"version {number}"
            raise Refusal("NOT_FOUND", f"Could not find {what} of model {spec.name}")
        return versions.status(number)

    def are_ready(self) -> bool:
        """Whether every model has a version that answers."""
        return all(versions.available() for versions in list(self._models.values()))

    def lines(self) -> Iterator[str]:
        """Which versions answer, for Prometheus. The name is not TensorFlow Serving's, which has no such metric."""
        yield "# TYPE :gdns_tf:servable_available gauge"
        for name, versions in dict(self._models).items():
            for number in versions.available():
                yield f":gdns_tf:servable_available{{{label_text(('model_name', 'version'), (name, str(number)))}}} 1"

    def reload(self, config: ServerConfig) -> None:
        """Follows another configuration: loads what is new in it, and lets go what is not there any more.

        Raises:
          Refusal: it cannot be followed; nothing has changed then.
        """
        with self._reloading:
            try:
                check_config(config)
            except InputError as error:
                raise invalid(str(error)) from None
            wanted = {model.name: model for model in config.model_config_list.config}
            for name, model in wanted.items():
                self._check_labels(name, model.version_labels)
            for name in set(self._models) - set(wanted):
                self._models.pop(name).close()
            for name, model in wanted.items():
                if name in self._models and self._models[name].config.base_path == model.base_path:
                    self._models[name].config = model
                    self._models[name].poll(settled=True)
                else:
                    former = self._models.get(name)
                    self._models[name] = Versions(model, self._metrics, self._poll_seconds)
                    if former is not None:
                        former.close()

    def close(self) -> None:
        """Lets all models go."""
        with self._reloading:
            for name in list(self._models):
                self._models.pop(name).close()

    def _number(self, spec: model_pb2.ModelSpec) -> int | None:
        """The version that is asked for by its number or its label; None: the newest."""
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        if not spec.version_label:
            return spec.version.value if spec.HasField("version") else None
        versions = self._models.get(spec.name)
        labels = versions.config.version_labels if versions else {}
        if spec.version_label not in labels:
            raise invalid(f"Unrecognized servable version label: {spec.version_label}")
        return labels[spec.version_label]

    def _check_labels(self, name: str, labels: Mapping[str, int]) -> None:
        available = self[name].available() if name in self else []
        for number in labels.values():
            if number not in available:
                raise Refusal(
                    "FAILED_PRECONDITION",
                    f"Request to assign label to version {number} of model {name}, "
                    "which is not currently available for inference",
                )


def server_config(folders: Sequence[str]) -> ServerConfig:
    """The configuration of models that are called as their folders are, each with its newest version.

    Raises:
      InputError: two would have one name.
    """
    config = ServerConfig()
    names: dict[str, str] = {}
    for folder in folders:
        path = as_path(folder)
        name = path.name if is_remote(folder) else Path(os.path.abspath(path)).name
        if name in names:
            raise InputError(
                f"`model`={names[name]} and `model`={folder} would both be called {name!r}",
                remedy="Rename one of the folders: it is the model's name.",
            )
        names[name] = folder
        base_path = str(path) if is_remote(folder) else str(path.absolute())
        config.model_config_list.config.add(name=name, base_path=base_path, model_platform=_PLATFORM)
    return config


def check_config(config: ServerConfig) -> None:
    """Raises InputError where a configuration cannot be followed."""
    names = [model.name for model in config.model_config_list.config]
    if "" in names:
        raise InputError("a model has no name")
    if len(set(names)) < len(names):
        raise InputError(f"the names of the models are not all different: {', '.join(names)}")
    for model in config.model_config_list.config:
        if model.model_platform not in ("", _PLATFORM):
            raise InputError(f"Model {model.name} requests unsupported platform {model.model_platform}")
        path = as_path(model.base_path)
        if not is_remote(model.base_path) and not path.is_dir():
            raise InputError(
                "there is no such folder",
                path=path,
                remedy=f"Write a model there: python -m gdns_tf.export --run_dir=RUN --export_dir={path}",
            )
        if (path / "saved_model.pb").exists():
            raise InputError(
                "this is one version of a model",
                path=path,
                remedy=f"Give the model's folder, {path.parent}",
            )
