"""A version's own requests, run before users' are: so that the first of them does not wait for what is done once."""

from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from gdns_tf.server.predict import predict
from gdns_tf.server.refusal import invalid
from gdns_tf.server.servable import Servable
from gdns_tf.serving.warmup import PATH

_MOST_RECORDS = 1000


def warm_up(servable: Servable, folder: Path) -> int:
    """Runs the requests that a version folder has for it, as TensorFlow Serving does; returns how many.

    Raises:
      Refusal, tensorflow.errors.OpError: one of them fails, or the file is damaged: the version is not to be served.
    """
    count = 0
    if not (folder / PATH).exists():
        return count
    for record in tf.data.TFRecordDataset(str(folder / PATH)).as_numpy_iterator():
        if count == _MOST_RECORDS:
            raise invalid(f"Number of warmup records exceeds the maximum ({_MOST_RECORDS}) at {folder / PATH}")
        try:
            log = prediction_log_pb2.PredictionLog.FromString(record)
        except DecodeError:
            raise invalid(f"Failed to parse warmup record: {count} from {folder / PATH}") from None
        if log.WhichOneof("log_type") != "predict_log":
            raise invalid(f"Unsupported log_type for warmup: {log.WhichOneof('log_type')}")
        predict(servable, log.predict_log.request)
        count += 1
    return count
