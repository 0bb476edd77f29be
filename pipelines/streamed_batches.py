"""The tf.data pipeline over shards: shuffled batches of users whose records bring along what the draws need.

An epoch reads the shards interleaved, in an order of its own, a window of records at a time; a window is shuffled and
cut into batches. That order, and every draw, is a pure function of (seed, epoch, step), so a run that resumes at an
epoch sees exactly the batches that it would have seen. What is held is a window, and the few batches that wait. Of
several replicas that train together each reads shards of its own.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from pipelines.batches import bounds, root_seed, steps_per_epoch
from pipelines.draws import item_drawer
from pipelines.ragged_draws import draw_positives, unobserved_drawer
from pipelines.records import Shard, parse
from pipelines.shares import Share, whole
from pipelines.streamed import StreamedInteractions

WINDOW_BYTES = 1 << 26
"""Of the records that are shuffled at a time: that many users as these bytes have, or a batch."""
_INTERLEAVED = 16
"""Shards that are read at a time, so many records of each in turn."""
_BUFFER_BYTES = 1 << 20


def visits(
    train: StreamedInteractions,
    *,
    batch_size: int,
    seed: int,
    first_epoch: int = 0,
    share: Share | None = None,
    lists: Sequence[str] = (),
) -> tf.data.Dataset:
    """Emits batches of users for ever, epoch after epoch; each epoch visits every user once, in a new order.

    Args:
      train: the interactions to learn from.
      batch_size: users a batch; the last batch of an epoch has what is left.
      seed: with the epoch, all that the order depends on.
      first_epoch: the epoch, from 0, to begin with.
      share: the users of one of several replicas, by `train.share`: see `pipelines.batches.visits`. None: all users.
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

    records = _records(train, batch_size, seed, first_epoch, share or whole(train.num_users))
    return records.map(parsed, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(2)


def shared_batches(
    train: StreamedInteractions,
    *,
    batch_size: int,
    num_negatives: int,
    seed: int,
    first_epoch: int = 0,
    item_weights: np.ndarray | None = None,
    share: Share | None = None,
) -> tf.data.Dataset:
    """As `visits`, with "negatives" [num_negatives] int32: see `pipelines.batches.shared_batches`."""
    draw, root = item_drawer(train, num_negatives, item_weights), root_seed(seed)

    def with_negatives(visit: dict) -> dict:
        return visit | {"negatives": draw(tf.random.experimental.stateless_fold_in(root + 2, visit["step"]))}

    of_users = visits(train, batch_size=batch_size, seed=seed, first_epoch=first_epoch, share=share)
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
    share: Share | None = None,
    lists: Sequence[str] = (),
) -> tf.data.Dataset:
    """As `visits`, with drawn positives and unobserved candidates: see `pipelines.batches.user_batches`.

    Returns:
      Dictionaries as of `visits`, with "positives" [batch, group_size] int32 and "candidates" [batch, num_candidates]
      int32. A draw fails with InvalidArgumentError where a user has every item that has a weight.
    """
    draw_candidates = unobserved_drawer(train, num_candidates, item_weights)
    root = root_seed(seed, share)

    def draw(visit: dict) -> dict:
        seeds = tf.random.experimental.stateless_split(
            tf.random.experimental.stateless_fold_in(root + 1, visit["step"]), num=2
        )
        return visit | {
            "positives": draw_positives(visit["histories"], group_size, seeds[0]),
            "candidates": draw_candidates(visit["histories"], seeds[1]),
        }

    of_users = visits(train, batch_size=batch_size, seed=seed, first_epoch=first_epoch, share=share, lists=lists)
    return of_users.map(draw, num_parallel_calls=2, deterministic=True).prefetch(4)


def _records(
    train: StreamedInteractions, batch_size: int, seed: int, first_epoch: int, share: Share
) -> tf.data.Dataset:
    """Batches of serialized records, epoch after epoch: (step [] int64, records [batch] string)."""
    root = root_seed(seed, share)
    fold_in, shuffle = tf.random.experimental.stateless_fold_in, tf.random.experimental.stateless_shuffle
    shards = train.shards_of(share)
    files = tf.constant([str(train.folder.path / shard.file) for shard in shards])
    steps, a_window = steps_per_epoch(train.num_users, batch_size), window_users(shards, batch_size)

    def windows_of(epoch: tf.Tensor) -> tf.data.Dataset:
        seed_of_epoch = fold_in(root, epoch)
        records = tf.data.Dataset.from_tensor_slices(shuffle(files, seed=seed_of_epoch)).interleave(
            lambda file: tf.data.TFRecordDataset(file, buffer_size=_BUFFER_BYTES),
            cycle_length=min(_INTERLEAVED, len(shards)),
            block_length=16,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )

        def joined(before: tuple, numbered: tuple) -> tuple:
            """The records of a window, shuffled, after those that are left of the one before; and the steps they fill.

            A step may have the last of one window and the first of the next one.
            """
            (start, step, left), (number, window) = before, numbered
            shuffled = shuffle(window, seed=fold_in(fold_in(root + 3, epoch), number))
            pool = tf.concat([left, shuffled], axis=0)
            end = start + tf.shape(pool, tf.int64)[0]
            next_step = -(-end // batch_size) if share.of == 1 else share.steps_within(end, steps)
            next_start = tf.minimum(bounds(share, next_step, steps, batch_size)[0], end)
            return (next_start, next_step, pool[next_start - start :]), (epoch, step, next_step, start, pool)

        nothing = (tf.zeros([], tf.int64), tf.zeros([], tf.int64), tf.zeros([0], tf.string))
        return records.batch(a_window).enumerate().scan(nothing, joined)

    def batches_of(
        epoch: tf.Tensor, first: tf.Tensor, end: tf.Tensor, start: tf.Tensor, pool: tf.Tensor
    ) -> tf.data.Dataset:
        def batch(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            place, until = bounds(share, step, steps, batch_size)
            return epoch * steps + step, pool[place - start : until - start]

        return tf.data.Dataset.range(first, end).map(batch)

    # The next window is read while one is worked off, across epochs too.
    return tf.data.Dataset.counter(first_epoch).flat_map(windows_of).prefetch(1).flat_map(batches_of)


def window_users(shards: Sequence[Shard], batch_size: int) -> int:
    """How many users are shuffled at a time: whole batches of WINDOW_BYTES of records, at least one batch.

    Args:
      shards: those that are read.
      batch_size: users a batch.
    """
    a_record = sum(shard.bytes for shard in shards) / sum(shard.users for shard in shards)
    return max(int(WINDOW_BYTES / a_record) // batch_size, 1) * batch_size
