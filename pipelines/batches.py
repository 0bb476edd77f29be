"""The tf.data pipeline: shuffled batches of users, each with drawn positives and unobserved candidates.

Algorithm 1 of the paper, lines 5, 8 and 9. Every draw is a pure function of (seed, epoch, step), so a run that resumes
at an epoch sees exactly the batches that it would have seen.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from pipelines.errors import DataError
from pipelines.interactions import Interactions

MAX_BITMAP_BYTES = 2**30


def steps_per_epoch(num_users: int, batch_size: int) -> int:
    """How many batches visit every user once."""
    return -(-num_users // batch_size)


def user_batches(
    train: Interactions,
    *,
    batch_size: int,
    group_size: int,
    num_candidates: int,
    seed: int,
    first_epoch: int = 0,
    item_weights: np.ndarray | None = None,
) -> tf.data.Dataset:
    """Emits batches for ever, epoch after epoch; each epoch visits every user once, in a new order.

    Args:
      train: the interactions to learn from; what is not in them counts as unobserved, held-out items too.
      batch_size: users a batch; the last batch of an epoch has what is left.
      group_size: N, positives drawn for each user, independently, so with repeats.
      num_candidates: M, unobserved items drawn for each user, independently and uniformly.
      seed: with the epoch and the step, all that the draws depend on.
      first_epoch: the epoch, from 0, to begin with.

    Returns:
      A dataset of dictionaries: "users" [batch] int32, "positives" [batch, group_size] int32, "candidates"
      [batch, num_candidates] int32 and "step" [] int64, counted from the start of epoch 0.

    Raises:
      DataError: a user has no item, or has every item.
    """
    _check_every_user_can_be_drawn(train)
    num_users = train.num_users
    draw_positives = _positive_drawer(train, group_size)
    draw_candidates = _unobserved_drawer(train, num_candidates)
    steps = steps_per_epoch(num_users, batch_size)
    root_seed = tf.constant([seed, 0x6D5], tf.int64)

    def batches_of(epoch: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(
            tf.range(num_users, dtype=tf.int32), seed=tf.random.experimental.stateless_fold_in(root_seed, epoch)
        )
        users = tf.data.Dataset.from_tensor_slices(order).batch(batch_size)
        return tf.data.Dataset.zip((tf.data.Dataset.range(epoch * steps, (epoch + 1) * steps), users))

    def draw(step: tf.Tensor, users: tf.Tensor) -> dict[str, tf.Tensor]:
        seeds = tf.random.experimental.stateless_split(
            tf.random.experimental.stateless_fold_in(root_seed + 1, step), num=2
        )
        return {
            "users": users,
            "positives": draw_positives(users, seeds[0]),
            "candidates": draw_candidates(users, seeds[1]),
            "step": step,
        }

    epochs = tf.data.Dataset.counter(first_epoch)
    # Two threads may draw at once, but the batches keep their order: determinism before the last percent of speed.
    return epochs.flat_map(batches_of).map(draw, num_parallel_calls=2, deterministic=True).prefetch(4)


def _positive_drawer(train: Interactions, count: int) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    offsets, items = tf.constant(train.offsets, tf.int64), tf.constant(train.items, tf.int32)

    def draw(users: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        first, end = tf.gather(offsets, users), tf.gather(offsets, users + 1)
        counts = tf.repeat((end - first)[:, None], count, axis=1)
        return tf.gather(items, first[:, None] + _uniform_below(counts, seed))

    return draw


def _unobserved_drawer(train: Interactions, count: int) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Draws unobserved items exactly uniformly, in a fixed number of operations, however much a user has seen.

    Any item is drawn; the few draws that fall on an observed item are replaced by an exact draw from the unobserved
    ones. With m items, c of them observed, an unobserved one then has probability 1/m + c/m * 1/(m - c) = 1/(m - c).
    The exact draw alone would do, and does where a bit for every user and item is too much; it is several times slower.
    """
    exact = _exact_drawer(train)
    num_items, words = train.num_items, -(-train.num_items // 32)
    if 4 * train.num_users * words > MAX_BITMAP_BYTES:
        return lambda users, seed: exact(tf.repeat(users[:, None], count, axis=1), seed)
    bits = np.zeros((train.num_users, words), np.uint32)
    np.bitwise_or.at(bits, (train.users, train.items // 32), np.uint32(1) << (train.items % 32).astype(np.uint32))
    bits = tf.constant(bits.reshape(-1).view(np.int32))

    def draw(users: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        seeds = tf.random.experimental.stateless_split(seed, num=2)
        items = tf.cast(_uniform_below(tf.fill([tf.shape(users)[0], count], num_items), seeds[0]), tf.int32)
        words_of = tf.gather(bits, users[:, None] * words + items // 32)
        observed = tf.where(tf.bitwise.bitwise_and(tf.bitwise.right_shift(words_of, items % 32), 1) > 0)
        again = exact(tf.gather(users, observed[:, 0]), seeds[1])
        return tf.tensor_scatter_nd_update(items, observed, again)

    return draw


def _exact_drawer(train: Interactions) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Draws one unobserved item for each user of an array of any shape.

    The r-th unobserved item of a user is r + k, where k counts the observed items q_0 < q_1 < ... with q_k - k <= r.
    The values q_k - k ascend, so k is found by bisection; shifting each user's values into a range of its own makes
    one sorted array of all of them, and one bisection serves the whole batch.
    """
    users, counts = train.users.astype(np.int64), train.counts
    observed = train.items[np.lexsort((train.items, users))].astype(np.int64)
    unobserved_before = observed - (np.arange(len(observed)) - train.offsets[users])
    stride = train.num_items + 1
    sorted_keys = tf.constant(users * stride + unobserved_before, tf.int64)
    offsets = tf.constant(train.offsets[:-1], tf.int64)
    left = tf.constant(train.num_items - counts, tf.int64)

    def draw(users: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        rank = _uniform_below(tf.gather(left, users), seed)
        keys = tf.cast(users, tf.int64) * stride + rank
        below = tf.searchsorted(sorted_keys, tf.reshape(keys, [-1]), side="right", out_type=tf.int64)
        return tf.cast(rank + tf.reshape(below, tf.shape(rank)) - tf.gather(offsets, users), tf.int32)

    return draw


def _uniform_below(limits: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """int64 draws from 0 .. limits - 1, of the shape of `limits`, which are below 2^31.

    Multiplies 32 random bits by the limit and keeps the high word; the bias is below limit / 2^32.
    """
    bits = tf.random.stateless_uniform(tf.shape(limits), seed, None, None, tf.uint32)
    return tf.bitwise.right_shift(tf.cast(bits, tf.int64) * tf.cast(limits, tf.int64), tf.constant(32, tf.int64))


def _check_every_user_can_be_drawn(train: Interactions) -> None:
    for what, counts in (("no item", train.counts), ("every item", train.num_items - train.counts)):
        if (users := np.flatnonzero(counts <= 0)).size:
            raise DataError(
                f"user {train.user_ids[users[0]]} has {what} in training, and so have {users.size - 1} others",
                remedy="Drop such users: there is nothing to tell apart.",
            )
