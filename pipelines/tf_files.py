"""What TensorFlow has against writing a file, said as the rest of the house says it."""

import contextlib
import errno
import os
from collections.abc import Iterator

import tensorflow as tf

from pipelines.errors import StorageError

_KINDS = {
    tf.errors.ResourceExhaustedError: errno.ENOSPC,
    tf.errors.PermissionDeniedError: errno.EACCES,
    tf.errors.NotFoundError: errno.ENOENT,
}
"""Error of TensorFlow -> the number of the system's error, where its text does not tell."""


@contextlib.contextmanager
def tf_writing(path: str | os.PathLike, setting: str = "") -> Iterator[None]:
    """Makes a StorageError of an error of TensorFlow's; for blocks that do no more than write.

    Args:
      path: the file or folder that is written.
      setting: what names it, for the message.
    """
    try:
        yield
    except tf.errors.OpError as error:
        raise StorageError.of(_of_the_system(error), path, setting) from None


def _of_the_system(error: tf.errors.OpError) -> OSError:
    # TensorFlow keeps the system's text, and folds its numbers into a few kinds.
    told = [number for number in errno.errorcode if os.strerror(number) in error.message]
    number = told[0] if told else next((n for kind, n in _KINDS.items() if isinstance(error, kind)), errno.EIO)
    return OSError(number, os.strerror(number))
