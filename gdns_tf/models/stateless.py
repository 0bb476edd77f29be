"""Random numbers from seeds, the same whether XLA compiles the step or not.

TensorFlow's `tf.random.stateless_*` draw other numbers under XLA: it sees the lower 32 bits only of each half of a
seed, and makes floats of the random bits in another way. A run that goes on on a machine with a GPU would draw other
dropout masks from there on. So within `for_xla` the functions here do by integers what TensorFlow's kernels do outside
of it: the same Philox key of all bits of the seed, and the same bits of each float. Elsewhere they are TensorFlow's
own.
"""

import contextlib
import contextvars
from collections.abc import Iterator

import tensorflow as tf

_KEY = 0x02461E293EC8F720
"""By which TensorFlow mixes the two halves of a seed into a key and a counter."""
_PHILOX = 1
_COMPILED: contextvars.ContextVar[bool] = contextvars.ContextVar("compiled", default=False)


@contextlib.contextmanager
def for_xla(compiled: bool = True) -> Iterator[None]:
    """What is traced within is compiled by XLA, if `compiled`."""
    token = _COMPILED.set(compiled)
    try:
        yield
    finally:
        _COMPILED.reset(token)


def uniform(
    shape: tf.Tensor | list[int], seed: tf.Tensor | list[int], minval: float = 0.0, maxval: float = 1.0
) -> tf.Tensor:
    """As `tf.random.stateless_uniform`.

    Args:
      shape: of what is drawn.
      seed: [2] int64.
      minval, maxval: between what the numbers lie, the upper end excluded.

    Returns:
      float32 of that shape.
    """
    if not _COMPILED.get():
        return tf.random.stateless_uniform(shape, seed, minval, maxval)
    mantissas = tf.bitwise.bitwise_and(_bits(shape, seed, tf.uint32), 2**23 - 1)
    share = tf.bitcast(tf.bitwise.bitwise_or(mantissas, 0x3F800000), tf.float32) - 1.0
    return share * (maxval - minval) + minval


def dropout(values: tf.Tensor, rate: float, seed: tf.Tensor | list[int]) -> tf.Tensor:
    """As `tf.nn.experimental.stateless_dropout`: hides a share of float32 values, and scales the rest up."""
    if not _COMPILED.get():
        return tf.nn.experimental.stateless_dropout(values, rate, seed)
    kept = uniform(tf.shape(values), seed) >= rate
    return tf.where(kept, values * (1.0 / (1.0 - rate)), 0.0)


def split(seed: tf.Tensor | list[int], num: int) -> tf.Tensor:
    """As `tf.random.experimental.stateless_split`: [num, 2] int64 seeds."""
    if not _COMPILED.get():
        return tf.random.experimental.stateless_split(seed, num)
    return _bits([num, 2], seed, tf.int64)


def fold_in(seed: tf.Tensor | list[int], number: tf.Tensor) -> tf.Tensor:
    """As `tf.random.experimental.stateless_fold_in`: [2] int64, another seed for each number [] int64."""
    if not _COMPILED.get():
        return tf.random.experimental.stateless_fold_in(seed, number)
    return tf.stack([_bits([], seed, tf.int64), number])


def _bits(shape: tf.Tensor | list[int], seed: tf.Tensor | list[int], dtype: tf.DType) -> tf.Tensor:
    """Random integers of all bits."""
    draw = tf.raw_ops.StatelessRandomUniformFullIntV2
    halves = tf.bitcast(tf.cast(seed, tf.int64), tf.uint64)
    words = draw(shape=[4], key=tf.constant([_KEY], tf.uint64), counter=halves, alg=_PHILOX, dtype=tf.uint32)
    key, high = tf.bitcast(words[:2], tf.uint64), tf.bitcast(words[2:], tf.uint64)
    counter = tf.stack([tf.zeros([], tf.uint64), high])
    return draw(shape=shape, key=key[None], counter=counter, alg=_PHILOX, dtype=dtype)
