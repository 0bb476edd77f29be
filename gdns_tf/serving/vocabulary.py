"""Raw ids and the model's row numbers, in the graph."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from gdns_tf.serving.contract import PADDING_IDS, id_type
from pipelines.errors import InputError


class Vocabulary(tf.Module):
    """Raw id -> row number by a hash table over an asset file, and back by a vector of ids."""

    def __init__(self, ids: np.ndarray, path: Path) -> None:
        """Writes the asset file, one id a line, and builds the table on it.

        Args:
          ids: [num_rows] int64 or str raw ids, different from each other.
          path: the file to write; its name is that of the asset. The table is filled from it at once; to save the model
            it must still be there.

        Raises:
          InputError: an id cannot be told from padding, or does not survive in a file of lines.
        """
        super().__init__(name=path.stem)
        self.dtype = tf.as_dtype(id_type(ids))
        self.padding = PADDING_IDS[id_type(ids)]
        self.size = len(ids)
        path.write_bytes("".join(f"{_checked(raw_id, self.padding)}\n" for raw_id in ids.tolist()).encode())
        whole_line, line_number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
        initializer = tf.lookup.TextFileInitializer(str(path), self.dtype, whole_line, tf.int64, line_number)
        self._numbers = tf.lookup.StaticHashTable(initializer, default_value=-1)
        # The last row is what number -1 finds.
        self._ids = tf.Variable(np.append(ids, self.padding), dtype=self.dtype, trainable=False, name="ids")

    def numbers(self, ids: tf.Tensor) -> tf.Tensor:
        """Row numbers, int32, of ids of any shape; -1 for padding and for ids that are not there."""
        return tf.cast(self._numbers.lookup(ids), tf.int32)

    def ids(self, numbers: tf.Tensor) -> tf.Tensor:
        """Raw ids of row numbers of any shape; padding for -1."""
        return tf.gather(self._ids, tf.where(numbers < 0, self.size, numbers))


def _checked(raw_id: int | str, padding: int | str) -> int | str:
    if raw_id == padding:
        raise InputError(
            f"the id {raw_id!r} cannot be served: it stands for padding", remedy="Give that user or item another id."
        )
    if isinstance(raw_id, str) and not raw_id.isprintable() and set(raw_id) & set("\n\r\0"):
        raise InputError(
            f"the id {raw_id!r} cannot be served: it holds a line break or NUL",
            remedy="Give that user or item another id.",
        )
    return raw_id
