"""A SavedModel in this process."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from gdns_tf.clients.backend import Backend, check_outputs, text_decoded
from gdns_tf.clients.errors import InvalidRequest, NotFound, ServingError

_SAVED_MODEL = "saved_model.pb"


def version_folder(path: str | Path) -> Path:
    """The version that a path stands for: a version folder itself, or the newest one in a model's folder.

    Raises:
      NotFound: there is none.
    """
    path = Path(path)
    if (path / _SAVED_MODEL).is_file():
        return path
    versions = [p for p in path.glob("*") if p.name.isdecimal() and (p / _SAVED_MODEL).is_file()]
    if not versions:
        what = "there is no SavedModel in it" if path.is_dir() else "there is no such folder"
        raise NotFound(f"{path}: {what}. Write one with: python -m gdns_tf.export --run_dir=RUN --export_dir={path}")
    return max(versions, key=lambda version: int(version.name))


class InProcess(Backend):
    """Loads a version once and stays with it."""

    def __init__(self, path: str | Path) -> None:
        """Args:
        path: a version folder, or a model's folder, whose newest version is taken.

        Raises:
          NotFound: there is no SavedModel.
          ServingError: it cannot be loaded.
        """
        self.folder = version_folder(path)
        try:
            self._model = tf.saved_model.load(str(self.folder))
        except Exception as error:  # damaged files surface as many types: OSError, DecodeError, OpError, ...
            raise ServingError(f"{self.folder}: cannot be loaded: {error}") from error

    def call(self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        if signature not in self._model.signatures:
            raise InvalidRequest(f"{self.folder}: there is no signature {signature!r}")
        function = self._model.signatures[signature]
        dtypes = {name: spec.dtype for name, spec in function.structured_input_signature[1].items()}
        try:
            tensors = {name: tf.constant(value, dtypes[name], value.shape) for name, value in inputs.items()}
            answer = function(**tensors)
        except (KeyError, TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
            raise InvalidRequest(f"{self.folder}: {getattr(error, 'message', error)}") from error
        except tf.errors.OpError as error:
            raise ServingError(f"{self.folder}: {error.message}") from error
        check_outputs(answer, outputs, signature)
        return {name: text_decoded(answer[name].numpy()) for name in outputs}
