"""The versions of one model: looked for, loaded, made warm, lent to requests, and closed when nobody needs them.

As in TensorFlow Serving (`file_system_storage_path_source.cc`, `availability_preserving_policy.cc`): a new version is
loaded beside the old one, which goes when the new one has answered its warm-up requests, and is closed when its last
request has been answered. Unlike there, a version that cannot be loaded does not count, so that after a restart the one
before it is served; and it is tried again when its files change, not by the clock.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tensorflow.core.protobuf import error_codes_pb2
from tensorflow_serving.apis import get_model_status_pb2
from tensorflow_serving.config import model_server_config_pb2

from gdns_tf.server.metrics import Metrics
from gdns_tf.server.refusal import Refusal
from gdns_tf.server.servable import Servable, status_of
from gdns_tf.server.version_folders import (
    Listing,
    has_graph,
    listing,
    on_this_machine,
    version_folders,
    wanted_versions,
)
from gdns_tf.server.warm_up import warm_up
from pipelines.notices import notices
from pipelines.paths import AnyPath

State = get_model_status_pb2.ModelVersionStatus.State
ModelConfig = model_server_config_pb2.ModelConfig


@dataclass
class _Version:
    """What became of one version."""

    state: State
    error_code: int = error_codes_pb2.OK
    error: str = ""
    servable: Servable | None = None
    users: int = 0
    """How many requests it is lent to."""


class Versions:
    """The versions of one model. Safe to use from several threads.

    Example:
      versions = Versions(ModelConfig(name="shop", base_path="savedmodel/models/shop"), Metrics(), poll_seconds=1)
      with versions.lease() as servable:
          predict(servable, request)
    """

    def __init__(self, config: ModelConfig, metrics: Metrics, poll_seconds: float) -> None:
        """Loads what is there, and goes on looking.

        Args:
          config: the model's name, folder, policy and labels.
          metrics: where loads and runs are counted.
          poll_seconds: how often to look at the folder; 0: never again.
        """
        self.config = config
        self._metrics = metrics
        self._versions: dict[int, _Version] = {}
        self._listings: dict[int, Listing] = {}
        self._tried: dict[int, Listing] = {}
        self._said = ""
        self._changed = threading.Condition()
        self._polling = threading.Lock()
        self._stop = threading.Event()
        self.poll(settled=True)
        self._poller = threading.Thread(target=self._poll_forever, args=(poll_seconds,), daemon=True)
        if poll_seconds > 0:
            self._poller.start()

    def poll(self, *, settled: bool = False) -> None:
        """Looks at the folder once; loads what is wanted and new, and lets go what is wanted no more.

        Args:
          settled: whether to take versions as they are. Otherwise one that was not there before is loaded the next
            time, if it has not changed meanwhile: it may be in the middle of being copied.
        """
        with self._polling:
            try:
                self._poll(settled)
            except Exception as error:  # of the folder or its store; what is loaded serves on, and it may come back
                self._say(f"{self.config.name}: cannot look for versions: {error}")

    def available(self) -> list[int]:
        """The versions that answer, oldest first."""
        with self._changed:
            return sorted(number for number, version in self._versions.items() if version.state == State.AVAILABLE)

    @contextlib.contextmanager
    def lease(self, number: int | None = None) -> Iterator[Servable]:
        """A version, by default the newest, which stays open until the block ends.

        Raises:
          Refusal: it is not there.
        """
        with self._changed:
            version = self._find(number)
            version.users += 1
        try:
            yield version.servable
        finally:
            with self._changed:
                version.users -= 1
            self._close_if_drained(version)

    def status(self, number: int | None = None) -> get_model_status_pb2.GetModelStatusResponse:
        """The state of one version, or of all that there have been.

        Raises:
          Refusal: there has been none.
        """
        with self._changed:
            versions = {key: (v.state, v.error_code, v.error) for key, v in sorted(self._versions.items())}
        if not versions and number is None:
            raise Refusal("NOT_FOUND", f"Could not find any versions of model {self.config.name}")
        if number is not None and number not in versions:
            raise Refusal("NOT_FOUND", f"Could not find version {number} of model {self.config.name}")
        response = get_model_status_pb2.GetModelStatusResponse()
        for key in versions if number is None else [number]:
            state, code, message = versions[key]
            entry = response.model_version_status.add(version=key, state=state)
            entry.status.error_code, entry.status.error_message = code, message
        return response

    def wait_for(self, number: int, seconds: float) -> bool:
        """Waits until a version answers; whether it does."""
        with self._changed:
            return self._changed.wait_for(lambda: self._is_available(number), seconds)

    def close(self) -> None:
        """Looks no more, and lets all versions go."""
        self._stop.set()
        if self._poller.ident is not None:
            self._poller.join()
        with self._polling:
            self._unload(set(self.available()))

    def _poll(self, settled: bool) -> None:
        folders = version_folders(self.config.base_path)
        for known in (self._listings, self._tried):
            for number in known.keys() - folders.keys():
                del known[number]
        if not folders:
            self._unload(set(self.available()))
            self._say(
                f"{self.config.name}: there is no version in {self.config.base_path} yet. One is served as soon as it "
                "is there. To write one: python -m gdns_tf.export --run_dir=RUN --export_dir=" + self.config.base_path
            )
            return
        loadable = {number for number, path in folders.items() if self._is_loadable(number, path, settled)}
        while new := self._wanted(loadable) - set(self.available()):
            if not self._load(max(new), folders[max(new)]):
                loadable.remove(max(new))
        if wanted := self._wanted(loadable):
            self._unload(set(self.available()) - wanted)
        self._said = ""

    def _wanted(self, numbers: set[int]) -> set[int]:
        return wanted_versions(numbers, self.config.model_version_policy)

    def _is_loadable(self, number: int, folder: AnyPath, settled: bool) -> bool:
        """Whether a version is loaded already, or may be tried."""
        version = self._versions.get(number)
        if version is not None and version.state != State.END:
            return version.state == State.AVAILABLE
        now, before = listing(folder), self._listings.get(number)
        self._listings[number] = now
        return (settled or now == before) and now != self._tried.get(number)

    def _load(self, number: int, folder: AnyPath) -> bool:
        """Loads a version and makes it warm; whether that worked."""
        name, path = self.config.name, str(folder)
        self._set(number, _Version(State.LOADING))
        try:
            servable, told = self._loaded(number, folder)
        except Exception as error:  # damaged files surface as many types; a broken version must not take others down
            self._metrics.load_attempts.add(path, "fail")
            self._tried[number] = self._listings[number]
            code, message = status_of(error)
            self._set(number, _Version(State.END, error_codes_pb2.Code.Value(code), message))
            others = ", ".join(map(str, self.available()))
            stays = f"version {others} stays" if others else "no version is served"
            notices.warning("%s: version %d cannot be loaded, %s: %s", name, number, stays, message)
            return False
        self._metrics.load_attempts.add(path, "success")
        self._set(number, _Version(State.AVAILABLE, servable=servable))
        notices.info("%s: version %d is served (%s)", name, number, told)
        return True

    def _loaded(self, number: int, folder: AnyPath) -> tuple[Servable, str]:
        """A version that has answered its warm-up requests, and how long all took."""
        name, path, metrics = self.config.name, str(folder), self._metrics
        if not has_graph(self._listings[number]):
            raise Refusal("NOT_FOUND", f"there is no saved_model.pb in {path}")
        began = time.monotonic()
        with on_this_machine(folder) as local:
            servable = Servable(local, number, lambda took: metrics.runtime_latency.add(took, name, "Predict", "TF1"))
            loaded = time.monotonic()
            try:
                count = warm_up(servable, local)
            except BaseException as error:
                servable.close()
                status = status_of(error)[0]
                metrics.warmup_latency.add(1e6 * (time.monotonic() - loaded), path, status)
                raise
        warm = time.monotonic()
        metrics.load_latency.add(path, count=round(1e6 * (loaded - began)))
        metrics.warmup_latency.add(1e6 * (warm - loaded), path, "OK")
        metrics.warmup_records.add(path, "OK", count=count)
        return servable, f"loaded in {loaded - began:.1f} s, {count} warm-up requests in {warm - loaded:.1f} s"

    def _unload(self, numbers: set[int]) -> None:
        for number in sorted(numbers):
            with self._changed:
                version = self._versions[number]
                version.state = State.UNLOADING
            self._close_if_drained(version)

    def _close_if_drained(self, version: _Version) -> None:
        with self._changed:
            if version.state != State.UNLOADING or version.users or version.servable is None:
                return
            servable, version.servable = version.servable, None
        servable.close()
        with self._changed:
            version.state = State.END
            self._changed.notify_all()
        notices.info("%s: version %d is unloaded", self.config.name, servable.version)

    def _set(self, number: int, version: _Version) -> None:
        with self._changed:
            self._versions[number] = version
            self._changed.notify_all()

    def _find(self, number: int | None) -> _Version:
        candidates = self.available()
        if candidates and (number is None or number in candidates):
            return self._versions[candidates[-1] if number is None else number]
        raise not_found(self.config.name, number)

    def _is_available(self, number: int) -> bool:
        return number in self._versions and self._versions[number].state == State.AVAILABLE

    def _say(self, message: str) -> None:
        """Warns, but not of the same thing at every look."""
        if message != self._said:
            notices.warning("%s", message)
        self._said = message

    def _poll_forever(self, seconds: float) -> None:
        while not self._stop.wait(seconds):
            self.poll()


def not_found(name: str, number: int | None) -> Refusal:
    """What a request for a version that is not there gets; None: for the newest."""
    wanted = f"Latest({name})" if number is None else f"Specific({name}, {number})"
    return Refusal("NOT_FOUND", f"Servable not found for request: {wanted}")
