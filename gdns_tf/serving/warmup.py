"""Requests that TensorFlow Serving replays when it loads a version, so that the first user does not wait."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from gdns_tf.serving.contract import EXPORTED_K, ITEM_ID, SIGNATURES, USER_ID, Signature, Tensor

PATH = Path("assets.extra/tf_serving_warmup_requests")


def example_inputs(
    user_ids: np.ndarray, item_ids: np.ndarray, k: int, signatures: Iterable[Signature] = SIGNATURES.values()
) -> dict[str, dict[str, np.ndarray]]:
    """A small request for each signature, of ids that the model knows: signature -> input -> value."""
    known = {USER_ID: user_ids[:1], ITEM_ID: item_ids[:3]}
    return {
        signature.name: {tensor.name: _example(tensor, known, k) for tensor in signature.inputs}
        for signature in signatures
    }


def _example(tensor: Tensor, known: Mapping[str, np.ndarray], k: int) -> np.ndarray:
    """The default, or else ids of one row."""
    if tensor.default is None:
        return known[tensor.dtype][:1] if tensor.rank == 1 else known[tensor.dtype][None]
    if tensor.default == ():
        return known[tensor.dtype][None, :0]
    return np.array([k if tensor.default == EXPORTED_K else tensor.default], tensor.numpy_dtype_with({}))


def write_warmup(folder: Path, model_name: str, examples: Mapping[str, Mapping[str, np.ndarray]]) -> bool:
    """Writes the records into a version folder, if the package tensorflow-serving-api is there.

    Args:
      folder: the version folder.
      model_name: as the server knows the model.
      examples: signature -> input -> value.

    Returns:
      Whether they were written.
    """
    try:
        from tensorflow_serving.apis import prediction_log_pb2
    except ImportError:
        return False
    path = folder / PATH
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in examples.items():
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.name, request.model_spec.signature_name = model_name, signature
            for name, value in inputs.items():
                value = value.astype(object) if value.dtype.kind == "U" else value
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value, tf.string if value.dtype == object else None))
            writer.write(log.SerializeToString())
    return True
