"""How much memory there is for a sampler's variables."""

import tensorflow as tf
from tensorflow.python.client import device_lib  # the one place where TensorFlow tells its limit on a GPU

from pipelines import memory


def memory_for_variables() -> tuple[float, str]:
    """Bytes that variables may still take, and whose they are: the first GPU's, on which they lie, or the machine's.

    Of a GPU it is what TensorFlow may take there, less what its variables take.
    """
    if not (devices := tf.config.list_logical_devices("GPU")):
        return memory.available_memory(), "memory"
    limits = {device.name: device.memory_limit for device in device_lib.list_local_devices()}
    name = devices[0].name
    used = tf.config.experimental.get_memory_info(name.removeprefix("/device:"))["current"]
    return float(limits[name] - used), "memory of the GPU"
