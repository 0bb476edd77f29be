"""What a request must keep to, asserted in the graph before anything is calculated."""

from collections.abc import Sequence

import tensorflow as tf

from gdns_tf.serving.contract import Signature
from gdns_tf.serving.limits import MOST_PARTS, Limits


def checked(
    signature: Signature, inputs: Sequence[tf.Tensor], k: int, num_items: int, limits: Limits | None
) -> list[tf.Tensor]:
    """The inputs, which can be had only once it is known that they keep to the contract and to the limits.

    Args:
      signature: what is asked.
      inputs: its inputs, in their order.
      k: how many items it answers with, where no input says that.
      num_items: of the catalogue: a `k` above counts as this.
      limits: None: as much as memory allows.
    """
    checks = _of_rows(signature, inputs)
    if limits is not None:
        checks += _of_sizes(signature, inputs, k, num_items, limits)
    with tf.control_dependencies(checks):
        return [tf.identity(value) for value in inputs]


def _of_rows(signature: Signature, inputs: Sequence[tf.Tensor]) -> list[tf.Operation]:
    """That the inputs have as many rows as the first."""
    first, batch, checks = signature.inputs[0].name, tf.shape(inputs[0])[0], []
    for tensor, value in list(zip(signature.inputs, inputs, strict=True))[1:]:
        rows, or_one = tf.shape(value)[0], tensor.axes[0] == "B|1"
        message = f"{tensor.name} must have {'1 row or ' if or_one else ''}as many rows as {first}; rows"
        checks.append(_check((rows == batch) | (or_one & (rows == 1)), message, rows, batch))
    return checks


def _of_sizes(
    signature: Signature, inputs: Sequence[tf.Tensor], k: int, num_items: int, limits: Limits
) -> list[tf.Operation]:
    """That nothing is larger than the limits say."""
    first, batch = signature.inputs[0].name, tf.shape(inputs[0])[0]
    if signature.name == "describe":
        return [
            _check(batch <= MOST_PARTS, f"{first} has more than {MOST_PARTS:,} rows: split the request; rows", batch)
        ]
    message = f"{first} has more than {limits.users:,} rows, `max_users` of this model: split the request; rows"
    checks = [_check(batch <= limits.users, message, batch)]
    sizes = {"B": batch, "K": tf.constant(min(k, num_items))}
    shapes = []
    for tensor, value in zip(signature.inputs, inputs, strict=True):
        if tensor.name == "k":
            highest = sizes["K"] = tf.minimum(tf.reduce_max(tf.concat([value, [0]], axis=0)), num_items)
            message = f"k is above {limits.k:,}, `max_k` of this model: ask for fewer; k"
            checks.append(_check(highest <= limits.k, message, highest))
        if tensor.rank == 2:
            width = sizes[tensor.axes[1]] = tf.shape(value)[1]
            message = f"{tensor.name} has more than {limits.ids:,} ids a list, `max_ids` of this model: shorten it; ids"
            checks.append(_check(width <= limits.ids, message, width))
            shapes.append((tensor.name, tf.shape(value)))
    shapes += [(out.name, [sizes[axis] for axis in out.axes]) for out in signature.outputs if out.rank > 1]
    for name, shape in shapes:
        entries = tf.reduce_prod(tf.cast(shape, tf.float64))  # which the product of three integers may exceed
        message = f"{name} has more than {limits.entries:,} entries, as by `max_users`: split the request; entries"
        shown = tf.cast(tf.minimum(entries, tf.int32.max), tf.int32)
        checks.append(_check(entries <= limits.entries, message, shown))
    return checks


def _check(good: tf.Tensor, message: str, *found: tf.Tensor) -> tf.Operation:
    """Of int32 alone, for which there is an operation of no overhead. An apostrophe would be told with a backslash."""
    return tf.debugging.Assert(good, [f"{message}:", *found])
