"""Drawers of a user's items, observed or not, as functions of (users, seed) for use within a graph."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from pipelines.errors import InputError
from pipelines.interactions import Interactions
from pipelines.observed import Observed

Drawer = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

_TOTAL_MASS = 2**30


def positive_drawer(train: Interactions, count: int) -> Drawer:
    """Draws [batch, count] observed items of users [batch], independently and uniformly.

    Raises:
      InputError: a user has no item.
    """
    _check_each(train, train.counts, "no item")
    offsets, items = tf.constant(train.offsets, tf.int64), tf.constant(train.items, tf.int32)

    def draw(users: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        first, end = tf.gather(offsets, users), tf.gather(offsets, users + 1)
        places = uniform_below((end - first)[:, None], [tf.shape(users)[0], count], seed)
        return tf.gather(items, first[:, None] + places)

    return draw


class Masses:
    """By what the candidates are drawn, and so how often each was expected among them."""

    def __init__(self, train: Interactions, weights: np.ndarray | None = None) -> None:
        """Args:
          train: the observed pairs.
          weights: [num_items] numbers >= 0, as given to `unobserved_drawer`.

        Raises:
          ValueError: the weights are no such numbers.
        """
        masses = item_masses(train, weights)
        self._total = float(masses.sum())
        of_users = np.concatenate([[0], np.cumsum(masses[train.items])])
        left = masses.sum() - np.diff(of_users[train.offsets])
        with np.errstate(divide="ignore"):  # what has no mass is never drawn, and its log never asked for
            self._log_masses = tf.constant(np.log(masses), tf.float32)
            self._log_left = tf.constant(np.log(left), tf.float32)

    def log_expected(self, users: tf.Tensor, items: tf.Tensor, count: int) -> tf.Tensor:
        """Log of how often each of some unobserved items was expected in `count` draws of `unobserved_drawer`.

        Args:
          users: [batch] int32.
          items: [batch, n] int32 unobserved items.
          count: draws for each user.

        Returns:
          [batch, n] float32.
        """
        return math.log(count) + tf.gather(self._log_masses, items) - tf.gather(self._log_left, users)[:, None]

    def log_expected_of_all(self, items: tf.Tensor, count: int) -> tf.Tensor:
        """The same of items [n] in `count` draws of `item_drawer`, from the whole catalogue: [n] float32."""
        return tf.gather(self._log_masses, items) + math.log(count / self._total)


def item_drawer(train: Interactions, count: int, weights: np.ndarray | None = None) -> Callable[[tf.Tensor], tf.Tensor]:
    """Draws [count] items from the whole catalogue by a seed, independently and in proportion to the weights."""
    masses = item_masses(train, weights)
    item_at, total = item_at_of(masses), int(masses.sum())
    return lambda seed: item_at(uniform_below(total, [count], seed))


def item_masses(train: Interactions, weights: np.ndarray | None) -> np.ndarray:
    """[num_items] int64, in proportion to the weights; None: all alike."""
    return np.ones(train.num_items, np.int64) if weights is None else _masses(weights, train.num_items)


def unobserved_drawer(train: Interactions, count: int, weights: np.ndarray | None = None) -> Drawer:
    """Draws [batch, count] unobserved items of users [batch], independently and in proportion to the weights.

    Any item is drawn; the draws that fall on an observed item are replaced by an exact draw from the unobserved ones.
    Of a total mass T, O of it on the user's observed items, an unobserved item of mass m then has probability
    m/T + O/T * m/(T - O) = m/(T - O). The exact draw alone would do; it is several times slower.

    Args:
      train: the observed pairs.
      count: how many to draw for each user.
      weights: [num_items] numbers >= 0; items of weight 0 are never drawn. None: all alike.

    Raises:
      InputError: a user has every item, or every item that has a weight.
      ValueError: the weights are no such numbers.
    """
    masses = item_masses(train, weights)
    exact = exact_drawer(train, masses)
    observed, item_at, total = Observed(train), item_at_of(masses), int(masses.sum())

    def draw(users: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        seeds = tf.random.experimental.stateless_split(seed, num=2)
        items = item_at(uniform_below(total, [tf.shape(users)[0], count], seeds[0]))
        places = tf.where(observed.contains(users, items))
        again = exact(tf.gather(users, places[:, 0]), seeds[1])
        return tf.tensor_scatter_nd_update(items, places, again)

    return draw


def exact_drawer(train: Interactions, masses: np.ndarray) -> Drawer:
    """Draws one unobserved item for each of users [n], in a fixed number of operations however much a user has seen.

    Items lie on a line, each as long as its mass [num_items] int64, and the users' lines lie end to end. Cutting the
    observed items out leaves a shorter line, a user's part of which is known. A point drawn on it moves back to where
    it was by the observed mass before it: of as many observed items as were cut out before or at the point, which a
    bisection counts.
    """
    total = int(masses.sum())
    users = train.users.astype(np.int64)
    items = train.items[np.lexsort((train.items, users))]
    cut_before = np.concatenate([[0], np.cumsum(masses[items])])
    line_before = np.cumsum(masses) - masses
    cuts = tf.constant(users * total + line_before[items] - cut_before[:-1], tf.int64)
    starts = np.arange(train.num_users) * total - cut_before[train.offsets[:-1]]
    left = total - np.diff(cut_before[train.offsets])
    _check_each(train, left, "every item" if masses.all() else "every item that has a weight")
    starts, left, cut_before = (tf.constant(values, tf.int64) for values in (starts, left, cut_before))
    item_at = item_at_of(masses)

    def draw(users: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        points = tf.gather(starts, users) + uniform_below(tf.gather(left, users), tf.shape(users), seed)
        cut = tf.gather(cut_before, tf.searchsorted(cuts, points, side="right"))
        return item_at(points + cut - tf.cast(users, tf.int64) * total)

    return draw


def _masses(weights: np.ndarray, num_items: int) -> np.ndarray:
    """The weights as whole numbers of a total that 32 random bits can tell apart; above 0 where the weight is."""
    weights = np.asarray(weights, np.float64)
    if weights.shape != (num_items,) or not np.isfinite(weights).all() or weights.min() < 0 or not weights.any():
        raise ValueError(f"item weights must be {num_items} finite numbers, none below 0 and not all 0")
    masses = np.rint(weights / weights.sum() * (_TOTAL_MASS - num_items)).astype(np.int64)
    return np.where(weights > 0, np.maximum(masses, 1), 0)


def item_at_of(masses: np.ndarray) -> Callable[[tf.Tensor], tf.Tensor]:
    """From points (int64, any shape) on a line of items, each as long as its mass, to the items (int32) there."""
    if (masses == 1).all():
        return lambda points: tf.cast(points, tf.int32)
    ends = tf.constant(np.cumsum(masses), tf.int64)
    return lambda points: tf.reshape(tf.searchsorted(ends, tf.reshape(points, [-1]), side="right"), tf.shape(points))


def uniform_below(limits: tf.Tensor | int, shape: Sequence[tf.Tensor | int], seed: tf.Tensor) -> tf.Tensor:
    """int64 draws from 0 .. limits - 1, of a shape that the limits, int64 and below 2^31, can be broadcast to.

    Multiplies 32 random bits by the limit and keeps the high word; the bias is below limit / 2^32.
    """
    bits = tf.random.stateless_uniform(shape, seed, None, None, tf.uint32)
    return tf.bitwise.right_shift(tf.cast(bits, tf.int64) * limits, tf.constant(32, tf.int64))


def _check_each(train: Interactions, counts: np.ndarray, what: str) -> None:
    if (users := np.flatnonzero(counts <= 0)).size:
        raise InputError(
            f"user {train.user_ids[users[0]]} has {what} in training, and so have {users.size - 1} others",
            remedy="Drop such users: there is nothing to tell apart.",
        )
