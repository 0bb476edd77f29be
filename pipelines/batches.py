"""The tf.data pipeline: shuffled batches of users, each with drawn positives and unobserved candidates.

Algorithm 1 of the paper, lines 5, 8 and 9. Every draw is a pure function of (seed, epoch, step), so a run that resumes
at an epoch sees exactly the batches that it would have seen.
"""

import numpy as np
import tensorflow as tf

from pipelines.draws import item_drawer, positive_drawer, unobserved_drawer
from pipelines.interactions import Interactions
from pipelines.shares import Share, whole

_ORDER = 0x6D5
"""Tells the seeds of the order of users from others."""


def root_seed(seed: int, share: Share | None = None) -> tf.Tensor:
    """[2] int64: what all seeds of batches are made of; of several replicas each has another one.

    Args:
      seed: of the run.
      share: of a replica; None: what all replicas have in common.
    """
    root = tf.constant([seed, _ORDER], tf.int64)
    return root if share is None or share.of == 1 else tf.random.experimental.stateless_fold_in(root, share.number)


def steps_per_epoch(num_users: int, batch_size: int) -> int:
    """How many batches visit every user once."""
    return -(-num_users // batch_size)


def visits(
    num_users: int, *, batch_size: int, seed: int, first_epoch: int = 0, share: Share | None = None
) -> tf.data.Dataset:
    """Emits batches of users for ever, epoch after epoch; each epoch visits every user once, in a new order.

    Args:
      num_users: how many there are.
      batch_size: users a batch; the last batch of an epoch has what is left.
      seed: with the epoch, all that the order depends on.
      first_epoch: the epoch, from 0, to begin with.
      share: the users of one of several replicas, who alone are visited: in as many batches as all users would take
        (`steps_per_epoch`), which makes those of all replicas together about `batch_size`. None: all users.

    Returns:
      A dataset of dictionaries: "users" [batch] int32, and "step" [] int64, counted from the start of epoch 0.
    """
    steps, share = steps_per_epoch(num_users, batch_size), share or whole(num_users)
    root = root_seed(seed, share)

    def batches_of(epoch: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(
            tf.range(share.first, share.first + share.size, dtype=tf.int32),
            seed=tf.random.experimental.stateless_fold_in(root, epoch),
        )

        def visit(number: tf.Tensor) -> dict[str, tf.Tensor]:
            first, end = bounds(share, number, steps, batch_size)
            return {"step": epoch * steps + number, "users": order[first:end]}

        return tf.data.Dataset.range(steps).map(visit)

    return tf.data.Dataset.counter(first_epoch).flat_map(batches_of)


def bounds(share: Share, step: tf.Tensor, steps: int, batch_size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """From where to where in its order of users a replica goes in a step of an epoch; alone it takes full batches.

    Args:
      share: the replica's users.
      step: [] int64, from 0.
      steps: in an epoch.
      batch_size: users a step, of all replicas together; alone the last step has what is left, and ends before.
    """
    if share.of == 1:
        return step * batch_size, (step + 1) * batch_size
    return share.bounds(step, steps)


def shared_batches(
    train: Interactions,
    *,
    batch_size: int,
    num_negatives: int,
    seed: int,
    first_epoch: int = 0,
    item_weights: np.ndarray | None = None,
    share: Share | None = None,
) -> tf.data.Dataset:
    """As `visits`, with "negatives" [num_negatives] int32 for the whole batch, drawn from the whole catalogue.

    Args:
      train: the interactions to learn from.
      batch_size: users a batch.
      num_negatives: items drawn for a batch, independently, so with repeats.
      seed: with the epoch and the step, all that the draws depend on.
      first_epoch: the epoch, from 0, to begin with.
      item_weights: [num_items] numbers >= 0 in proportion to which items are drawn; None: uniformly.
      share: see `visits`; the negatives of a step are the same for all replicas.
    """
    draw, root = item_drawer(train, num_negatives, item_weights), root_seed(seed)

    def with_negatives(visit: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return visit | {"negatives": draw(tf.random.experimental.stateless_fold_in(root + 2, visit["step"]))}

    of_users = visits(train.num_users, batch_size=batch_size, seed=seed, first_epoch=first_epoch, share=share)
    return of_users.map(with_negatives, num_parallel_calls=2, deterministic=True).prefetch(4)


def user_batches(
    train: Interactions,
    *,
    batch_size: int,
    group_size: int,
    num_candidates: int,
    seed: int,
    first_epoch: int = 0,
    item_weights: np.ndarray | None = None,
    share: Share | None = None,
) -> tf.data.Dataset:
    """Emits batches for ever, epoch after epoch; each epoch visits every user once, in a new order.

    Args:
      train: the interactions to learn from; what is not in them counts as unobserved, held-out items too.
      batch_size: users a batch; the last batch of an epoch has what is left.
      group_size: N, positives drawn for each user, independently, so with repeats.
      num_candidates: M, unobserved items drawn for each user, independently.
      seed: with the epoch and the step, all that the draws depend on.
      first_epoch: the epoch, from 0, to begin with.
      item_weights: [num_items] numbers >= 0 in proportion to which candidates are drawn; None: uniformly.
      share: see `visits`; the draws of each replica are its own.

    Returns:
      A dataset of dictionaries: "users" [batch] int32, "positives" [batch, group_size] int32, "candidates"
      [batch, num_candidates] int32 and "step" [] int64, counted from the start of epoch 0.

    Raises:
      InputError: a user has no item, or has every item (that has a weight).
    """
    draw_positives = positive_drawer(train, group_size)
    draw_candidates = unobserved_drawer(train, num_candidates, item_weights)
    root = root_seed(seed, share)

    def draw(visit: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        seeds = tf.random.experimental.stateless_split(
            tf.random.experimental.stateless_fold_in(root + 1, visit["step"]), num=2
        )
        return visit | {
            "positives": draw_positives(visit["users"], seeds[0]),
            "candidates": draw_candidates(visit["users"], seeds[1]),
        }

    of_users = visits(train.num_users, batch_size=batch_size, seed=seed, first_epoch=first_epoch, share=share)
    # Two threads may draw at once, but the batches keep their order: determinism before the last percent of speed.
    return of_users.map(draw, num_parallel_calls=2, deterministic=True).prefetch(4)
