"""Ranking losses of a user's positive group against the negative group: group-wise (Eq. 6) and pair-wise (Eq. 3)."""

from abc import ABC, abstractmethod

import tensorflow as tf


class RankingLoss(ABC):
    """Sums a function of (negative's score - positive's score + margin) over pairs.

    Eq. 3 of the paper has the two scores the wrong way round; Eq. 6 and Algorithm 1 have them right.
    """

    def __init__(self, margin: float = 1.0, pairing: str = "group") -> None:
        """Args:
        margin: gamma.
        pairing: "group", every positive against every negative (Eq. 6), or "pair", the k-th positive against the k-th
          negative (Eq. 3).
        """
        if pairing not in PAIRINGS:
            raise ValueError(f"pairing must be one of {', '.join(PAIRINGS)}, not {pairing!r}")
        self.margin = margin
        self.pairing = pairing

    @abstractmethod
    def penalty(self, shortfall: tf.Tensor) -> tf.Tensor:
        """The loss of pairs by what they fall short of the margin, elementwise."""

    def shortfall(self, positives: tf.Tensor, negatives: tf.Tensor) -> tf.Tensor:
        """Negative's score - positive's score + margin of each pair.

        Args:
          positives: [batch, group_size] scores.
          negatives: [batch, group_size] scores.

        Returns:
          [batch, group_size, group_size] (positive, negative), or [batch, group_size] if pair-wise.
        """
        reach = negatives + self.margin  # before there are as many as pairs
        return reach[:, None, :] - positives[:, :, None] if self.pairing == "group" else reach - positives

    def __call__(self, positives: tf.Tensor, negatives: tf.Tensor, weights: tf.Tensor | None = None) -> tf.Tensor:
        """The loss of each user, summed over its pairs.

        Args:
          positives: [batch, group_size] scores.
          negatives: [batch, group_size] scores.
          weights: [batch, group_size] factors of the losses of each negative's pairs; None: all 1.

        Returns:
          [batch] losses.
        """
        losses = self.penalty(self.shortfall(positives, negatives))
        if weights is not None:
            losses *= weights[:, None, :] if self.pairing == "group" else weights
        return tf.reduce_sum(losses, axis=list(range(1, losses.shape.rank)))

    def pairs_per_item(self, group_size: int) -> int:
        """In how many pairs of its user each drawn item stands."""
        return group_size if self.pairing == "group" else 1


class HomogeneousLoss(RankingLoss):
    """A penalty with penalty(a x) = a^degree penalty(x) for all a > 0, whose gradient comes with its value.

    By Euler's theorem degree * penalty(x) = x * slope(x). So the sums of the slopes by positive and by negative, which
    are the gradient, give the value too: two matrix products over the pairs, where automatic differentiation goes over
    them a dozen times. A gradient of the gradient is not to be had.
    """

    degree: int

    @abstractmethod
    def slope(self, shortfall: tf.Tensor) -> tf.Tensor:
        """The derivative of `penalty`, elementwise."""

    def penalty(self, shortfall: tf.Tensor) -> tf.Tensor:
        return shortfall * self.slope(shortfall) / self.degree

    def __call__(self, positives: tf.Tensor, negatives: tf.Tensor, weights: tf.Tensor | None = None) -> tf.Tensor:
        if self.pairing == "group":
            return self._of_groups(positives, negatives, tf.ones_like(negatives) if weights is None else weights)
        return super().__call__(positives, negatives, weights)

    @tf.custom_gradient
    def _of_groups(self, positives: tf.Tensor, negatives: tf.Tensor, weights: tf.Tensor) -> tuple:
        slopes = self.slope(self.shortfall(positives, negatives))
        of_positives = tf.linalg.matvec(slopes, weights)
        of_negatives = tf.linalg.matvec(slopes, tf.ones_like(positives), transpose_a=True)
        reach = negatives + self.margin
        # Each by itself: there may be one positive against many negatives.
        gaps = tf.reduce_sum(weights * reach * of_negatives, axis=1) - tf.reduce_sum(positives * of_positives, axis=1)
        losses = gaps / self.degree

        def backward(upstream: tf.Tensor) -> tuple:
            upstream = upstream[:, None]
            by_negative = reach * of_negatives - tf.linalg.matvec(slopes, positives, transpose_a=True)
            return -upstream * of_positives, upstream * weights * of_negatives, upstream * by_negative / self.degree

        return losses, backward


class Hinge(HomogeneousLoss):
    """max(0, x), the paper's."""

    degree = 1

    def slope(self, shortfall: tf.Tensor) -> tf.Tensor:
        return tf.cast(shortfall > 0, shortfall.dtype)


class SquaredHinge(HomogeneousLoss):
    """max(0, x)^2 / 2: pairs that miss the margin by more pull harder."""

    degree = 2

    def slope(self, shortfall: tf.Tensor) -> tf.Tensor:
        return tf.nn.relu(shortfall)


class Softplus(RankingLoss):
    """log(1 + exp(x)); with margin 0 the loss of BPR (Rendle et al., 2009)."""

    def penalty(self, shortfall: tf.Tensor) -> tf.Tensor:
        return tf.nn.softplus(shortfall)


PAIRINGS = ("group", "pair")
LOSSES = {"hinge": Hinge, "squared_hinge": SquaredHinge, "softplus": Softplus}
