"""The tf.data pipeline over shards: shuffled batches of users whose records bring along what the draws need.

An epoch reads the shards interleaved, in an order of its own, a window of records at a time; a window is shuffled and
cut into batches. That order, and every draw, is a pure function of (seed, epoch, step), so a run that resumes at an
epoch sees exactly the batches that it would have seen. What is held is a window, and the few batches that wait.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from pipelines.batches import steps_per_epoch
from pipelines.draws import item_drawer
from pipelines.ragged_draws import draw_positives, unobserved_drawer
from pipelines.records import parse
from pipelines.streamed import StreamedInteractions

WINDOW_BYTES = 1 << 26
"""Of the records that are shuffled at a time: that many users as these bytes have, or a batch."""
_INTERLEAVED = 16
"""Shards that are read at a time, so many records of each in turn."""
_BUFFER_BYTES = 1 << 20
_ORDER = 0x6D5
"""As in `pipelines.batches`: tells the seeds of the order of users from others."""


def visits(
    train: StreamedInteractions, *, batch_size: int, seed: int, first_epoch: int = 0, lists: Sequence[str] = ()
) -> tf.data.Dataset:
    """Emits batches of users for ever, epoch after epoch; each epoch visits every user once, in a new order.

    Args:
      train: the interactions to learn from.
      batch_size: users a batch; the last batch of an epoch has what is left.
      seed: with the epoch, all that the order depends on.
      first_epoch: the epoch, from 0, to begin with.
      lists: other lists of the records to bring along.

    Returns:
      A dataset of dictionaries: "users" [batch] int32, "histories" [batch, (n)] int32 their items, "step" [] int64,
      counted from the start of epoch 0, and [batch, (n)] int32 under the name of each of `lists`.
    """
    wanted = tuple(dict.fromkeys([*train.lists, *lists]))

    def parsed(step: tf.Tensor, serialized: tf.Tensor) -> dict:
        found = parse(serialized, wanted)
        histories = tf.concat([found[name] for name in train.lists], axis=1) if len(train.lists) > 1 else None
        histories = found[train.lists[0]] if histories is None else histories
        return {"step": step, "users": found["users"], "histories": histories} | {name: found[name] for name in lists}

    records = _records(train, batch_size, seed, first_epoch)
    return records.map(parsed, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(2)


def shared_batches(
    train: StreamedInteractions,
    *,
    batch_size: int,
    num_negatives: int,
    seed: int,
    first_epoch: int = 0,
    item_weights: np.ndarray | None = None,
) -> tf.data.Dataset:
    """As `visits`, with "negatives" [num_negatives] int32: see `pipelines.batches.shared_batches`."""
    draw, root_seed = item_drawer(train, num_negatives, item_weights), tf.constant([seed, _ORDER], tf.int64)

    def with_negatives(visit: dict) -> dict:
        return visit | {"negatives": draw(tf.random.experimental.stateless_fold_in(root_seed + 2, visit["step"]))}

    of_users = visits(train, batch_size=batch_size, seed=seed, first_epoch=first_epoch)
    return of_users.map(with_negatives, num_parallel_calls=2, deterministic=True).prefetch(4)


def user_batches(
    train: StreamedInteractions,
    *,
    batch_size: int,
    group_size: int,
    num_candidates: int,
    seed: int,
    first_epoch: int = 0,
    item_weights: np.ndarray | None = None,
    lists: Sequence[str] = (),
) -> tf.data.Dataset:
    """As `visits`, with drawn positives and unobserved candidates: see `pipelines.batches.user_batches`.

    Returns:
      Dictionaries as of `visits`, with "positives" [batch, group_size] int32 and "candidates" [batch, num_candidates]
      int32. A draw fails with InvalidArgumentError where a user has every item that has a weight.
    """
    draw_candidates = unobserved_drawer(train, num_candidates, item_weights)
    root_seed = tf.constant([seed, _ORDER], tf.int64)

    def draw(visit: dict) -> dict:
        seeds = tf.random.experimental.stateless_split(
            tf.random.experimental.stateless_fold_in(root_seed + 1, visit["step"]), num=2
        )
        return visit | {
            "positives": draw_positives(visit["histories"], group_size, seeds[0]),
            "candidates": draw_candidates(visit["histories"], seeds[1]),
        }

    of_users = visits(train, batch_size=batch_size, seed=seed, first_epoch=first_epoch, lists=lists)
    return of_users.map(draw, num_parallel_calls=2, deterministic=True).prefetch(4)


def _records(train: StreamedInteractions, batch_size: int, seed: int, first_epoch: int) -> tf.data.Dataset:
    """Batches of serialized records, epoch after epoch: (step [] int64, records [batch] string)."""
    root_seed = tf.constant([seed, _ORDER], tf.int64)
    fold_in, shuffle = tf.random.experimental.stateless_fold_in, tf.random.experimental.stateless_shuffle
    files = tf.constant([str(train.folder.path / shard.file) for shard in train.shards])
    steps = steps_per_epoch(train.users_read, batch_size)
    batches_a_window = window_users(train, batch_size) // batch_size

    def windows_of(epoch: tf.Tensor) -> tf.data.Dataset:
        seed_of_epoch = fold_in(root_seed, epoch)
        records = tf.data.Dataset.from_tensor_slices(shuffle(files, seed=seed_of_epoch)).interleave(
            lambda file: tf.data.TFRecordDataset(file, buffer_size=_BUFFER_BYTES),
            cycle_length=min(_INTERLEAVED, len(train.shards)),
            block_length=16,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        windows = records.batch(batches_a_window * batch_size).enumerate()
        return windows.map(lambda number, window: (epoch, number, window))

    def batches_of(epoch: tf.Tensor, number: tf.Tensor, window: tf.Tensor) -> tf.data.Dataset:
        shuffled = shuffle(window, seed=fold_in(fold_in(root_seed + 3, epoch), number))
        first_step = epoch * steps + number * batches_a_window
        count = -(-tf.shape(window, tf.int64)[0] // batch_size)

        def batch(place: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return first_step + place, shuffled[place * batch_size : (place + 1) * batch_size]

        return tf.data.Dataset.range(count).map(batch)

    # The next window is read while one is worked off, across epochs too.
    return tf.data.Dataset.counter(first_epoch).flat_map(windows_of).prefetch(1).flat_map(batches_of)


def window_users(train: StreamedInteractions, batch_size: int) -> int:
    """How many users are shuffled at a time: whole batches of WINDOW_BYTES of records, at least one batch."""
    a_record = sum(shard.bytes for shard in train.shards) / max(train.users_read, 1)
    return max(int(WINDOW_BYTES / a_record) // batch_size, 1) * batch_size
