"""Requests that TensorFlow Serving replays when it loads a version, so that the first user does not wait."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

PATH = Path("assets.extra/tf_serving_warmup_requests")


def example_inputs(user_ids: np.ndarray, item_ids: np.ndarray, k: int) -> dict[str, dict[str, np.ndarray]]:
    """A small request for each signature, of ids that the model knows."""
    user, items = user_ids[:1], item_ids[:3]
    no_items = items[None, :0]
    count = np.array([k], np.int32)
    return {
        "serving_default": {"user_ids": user},
        "retrieve": {
            "user_ids": user,
            "k": count,
            "exclude_seen": np.array([True]),
            "exclude_ids": no_items,
            "restrict_to": no_items,
        },
        "rank": {"user_ids": user, "item_ids": items[None]},
        "similar_items": {"item_ids": items[:1], "k": count},
        "retrieve_by_history": {"history": items[None], "k": count},
        "describe": {"parts": np.array([""])},
    }


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
