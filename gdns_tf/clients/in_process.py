"""Models in this process."""

import gdns_tf.keras2  # noqa: F401 (TensorFlow without its noise, so before all that import it)

# isort: split
import os
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from gdns_tf.clients.backend import Backend, check_outputs, text_decoded
from gdns_tf.clients.errors import InvalidRequest, ServingError
from gdns_tf.clients.version_folder import version_folder


class InProcess(Backend):
    """The signatures of a model as TensorFlow functions.

    Example:
      model = in_memory(factors, split)  # of gdns_tf.serving.in_memory
      signatures = Signatures(InProcess(model.signatures(), "the model"))
    """

    merges = False

    def __init__(self, functions: Mapping[str, tf.types.experimental.GenericFunction], name: str) -> None:
        """Args:
        functions: signature -> what runs it, from inputs by name to a dictionary of outputs.
        name: of the model, for error messages.
        """
        self._functions, self._name = functions, name

    def call(self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        if signature not in self._functions:
            raise InvalidRequest(f"{self._name}: there is no signature {signature!r}")
        try:
            answer = self._functions[signature](**{name: _tensor(value) for name, value in inputs.items()})
        except (TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
            raise InvalidRequest(f"{self._name}: {getattr(error, 'message', error)}") from error
        except tf.errors.OpError as error:
            raise ServingError(f"{self._name}: {error.message}") from error
        check_outputs(answer, outputs, signature)
        return {name: text_decoded(answer[name].numpy(), name) for name in outputs}


class SavedModel(InProcess):
    """An exported version. It is loaded once, and newer ones do not take its place."""

    def __init__(self, path: str | os.PathLike) -> None:
        """Args:
        path: a version folder, or a model's folder, whose newest version is taken.

        Raises:
          NotFound: there is no SavedModel.
          ServingError: it cannot be loaded.
        """
        self.folder = version_folder(path)
        try:
            self._model = tf.saved_model.load(str(self.folder))  # must stay alive as long as its signatures
        except Exception as error:  # damaged files surface as many types: OSError, DecodeError, OpError, ...
            raise ServingError(f"{self.folder}: cannot be loaded: {error}") from error
        super().__init__(self._model.signatures, str(self.folder))


def _tensor(value: np.ndarray) -> tf.Tensor:
    return tf.constant(value, tf.string if value.dtype == object else value.dtype, value.shape)
