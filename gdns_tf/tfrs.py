"""GDNS negatives for any two-tower model of TensorFlow Recommenders: a task in place of `tfrs.tasks.Retrieval`.

    class TwoTower(tfrs.Model):
        def __init__(self, users, items, candidates):
            super().__init__()
            self.users, self.items = users, items
            self.task = GdnsRetrieval(metrics=tfrs.metrics.FactorizedTopK(candidates))  # (id, embedding) batches

        def compute_loss(self, features, training=False):
            return self.task(
                self.users(features),
                self.items(features),
                query_ids=features["user_id"],
                candidate_ids=features["item_id"],
                compute_metrics=not training,
                training=training,
            )

`gdns_tf/examples/tfrs_two_tower.py` is a whole program. TFRS needs Keras 2: import `gdns_tf` before it, or set
TF_USE_LEGACY_KERAS=1.
"""

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_recommenders as tfrs

from gdns_tf.models.losses import Hinge, RankingLoss
from gdns_tf.samplers.gain_table import BoundedGainTable, gain
from pipelines.errors import InputError, require

SAMPLERS = ("gdns", "gdns_without_g", "uniform")

_H, _G = 0, 1
_IDS = 2**62
"""Numbers that ids are hashed to: two of a million strings share one with a probability of 1e-7."""
_ODD = 0x2545F4914F6CDD1D
_NO_CANDIDATE = -1


class Gains(tf.Module):
    """What a task remembers from step to step. No weights of the model; to keep it, checkpoint it by name."""

    def __init__(self, num_rows: int, num_slots: int) -> None:
        """Args:
        num_rows, num_slots: the size of the table, which takes 16 bytes a slot; see `GdnsRetrieval`.
        """
        super().__init__(name="gains")
        self.step = tf.Variable(0, trainable=False, dtype=tf.int64, name="step")
        """[] int64: training steps so far."""
        # One row more: what must not be written is written there, where nobody reads.
        self.table = BoundedGainTable(num_rows + 1, num_slots, item_dtype=tf.int64)
        """H and G of pairs, see `GdnsRetrieval.gains_of`."""


class GdnsRetrieval(tfrs.tasks.Retrieval):
    """A retrieval task whose negatives are the in-batch items with the highest gain G (Zhu et al., WWW 2022).

    Each row of a batch is a user and an item that the user has. Its candidates are the items of the batch, each once,
    but for those that the batch, or `score_mask`, shows to be the user's own: so accidental hits are no negatives. Of
    `num_candidates` drawn among them the `num_hard_negatives` with the highest gain are the row's negatives, ties
    broken at random, and stand against its positive in a group-wise loss (Eq. 6 with one positive). A training step
    then notes H (Eq. 4) and G (Eq. 5) of the pairs that it chose. Rows of one user in a batch are its positive group:
    H of a pair that several of them chose is their mean.

    H and G live in `gains`, a `tf.Module` apart from the model: `save_weights` and SavedModels do not carry it. Keep it
    with `tf.train.Checkpoint(model=model, gains=model.task.gains)`.

    Not taken over from `Retrieval`: `remove_accidental_hits` (they always are), `candidate_sampling_probability` (no
    softmax to correct), and queries of several heads. One replica only.
    """

    # Keras would count the table among the model's weights, and save it with them.
    @tf.__internal__.tracking.no_automatic_dependency_tracking
    def _attach(self, gains: Gains) -> None:
        self.gains = gains

    def __init__(
        self,
        loss: RankingLoss | None = None,
        metrics: tfrs.metrics.Factorized | Sequence[tfrs.metrics.Factorized] | None = None,
        batch_metrics: list[tf.keras.metrics.Metric] | None = None,
        loss_metrics: list[tf.keras.metrics.Metric] | None = None,
        temperature: float | None = None,
        num_hard_negatives: int = 32,
        name: str | None = None,
        *,
        num_candidates: int | None = 64,
        distinct: bool = True,
        sampler: str = "gdns",
        num_users: int = 2**14,
        num_slots: int = 256,
        smoothing: float = 0.2,
        epsilon: float = 1e-8,
        seed: int = 0,
    ) -> None:
        """Args:
          loss: of a positive against its negatives; default: `Hinge()`, the paper's, with a margin of 1.
          metrics: over all candidates, such as `tfrs.metrics.FactorizedTopK`. Made of (id, embedding) batches: the task
            passes ids on.
          batch_metrics: of the positive's score among those of its negatives.
          loss_metrics: updated with the loss.
          temperature: divides the scores before anything else.
          num_hard_negatives: N, negatives a row; fewer where a batch has no more candidates.
          name: of the layer.
          num_candidates: M, drawn for each row; None: the whole batch. Far more than N makes for easy negatives.
          distinct: whether an item that several rows have is one candidate. If false it is as many, and popular items
            are negatives as often as they are positives, which teaches a model to rank them low.
          sampler: "gdns", the highest G; "gdns_without_g", the highest H; "uniform", the first N of those drawn, with
            no table: a control.
          num_users: rows of the table. User u, if an integer, has row u modulo this, so that ids below it have a row
            each; strings are hashed. Users of one row share its slots, but never take each other's values.
          num_slots: pairs that a row keeps, 16 bytes each. Item i has slot i modulo this, strings are hashed. A pair
            that comes to a slot in use takes it over, and the former one counts as never chosen (H = G = 1).
          smoothing: alpha of Eq. 5.
          epsilon: of Eq. 5.
          seed: of all that is drawn; the same seed, the same negatives.

        Raises:
          InputError: a setting cannot work.
        """
        for setting, value in (("num_hard_negatives", num_hard_negatives), ("num_users", num_users)):
            require(value >= 1, setting, value, "must be at least 1")
        require(num_slots >= 1, "num_slots", num_slots, "must be at least 1")
        require(sampler in SAMPLERS, "sampler", repr(sampler), f"must be one of {', '.join(SAMPLERS)}")
        require(0 <= smoothing <= 1, "smoothing", smoothing, "must lie in [0, 1]")
        require(epsilon > 0, "epsilon", epsilon, "must be above 0")
        if num_candidates is not None:
            rule = f"must be at least `num_hard_negatives`, {num_hard_negatives}"
            require(num_candidates >= num_hard_negatives, "num_candidates", num_candidates, rule)
        if (replicas := tf.distribute.get_strategy().num_replicas_in_sync) > 1:
            raise InputError(
                f"GdnsRetrieval keeps one table of gains, and this strategy has {replicas} replicas",
                remedy="Make and train the model on one device.",
            )
        super().__init__(
            loss=Hinge() if loss is None else loss,
            metrics=metrics,
            batch_metrics=batch_metrics,
            loss_metrics=loss_metrics,
            temperature=temperature,
            num_hard_negatives=num_hard_negatives,
            remove_accidental_hits=True,
            name=name,
        )
        self._num_candidates = num_candidates
        self._distinct = distinct
        self._indicator = {"gdns": _G, "gdns_without_g": _H, "uniform": None}[sampler]
        self._num_users = num_users
        self._smoothing, self._epsilon, self._seed = smoothing, epsilon, seed
        with tf.init_scope():
            self._attach(Gains(0, 1) if self._indicator is None else Gains(num_users, num_slots))

    def call(
        self,
        query_embeddings: tf.Tensor,
        candidate_embeddings: tf.Tensor,
        sample_weight: tf.Tensor | None = None,
        *,
        query_ids: tf.Tensor | None = None,
        candidate_ids: tf.Tensor | None = None,
        compute_metrics: bool = True,
        compute_batch_metrics: bool = True,
        score_mask: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> tf.Tensor:
        """The loss of a batch; updates metrics and, in training, H and G.

        Args:
          query_embeddings: [num_queries, dim].
          candidate_embeddings: [num_candidates, dim]: row k, for k < num_queries, is the item that query k's user has;
            further rows are candidates only.
          sample_weight: [num_queries] factors of the rows' losses.
          query_ids: [num_queries] integers or strings: whose query it is. Required. Strings are hashed to 62 bits;
            two users, or two items, with the same hash would count as one.
          candidate_ids: [num_candidates] integers or strings, likewise. Required.
          compute_metrics: whether to update `metrics`, which is slow.
          compute_batch_metrics: whether to update `batch_metrics`.
          score_mask: [num_queries, num_candidates] bool, false for what must not be a negative of the row, such as
            further items that the user is known to have.
          training: whether this is a step of training, as `tfrs.Model.compute_loss` is told. Required: without it,
            evaluation would change H and G, or training would not. If false, negatives are chosen all the same, by
            H and G as they are, the same ones each time.

        Returns:
          [] float32: the sum over rows and their negatives.

        Raises:
          InputError: `training`, `query_ids` or `candidate_ids` is missing, or ids are floats.
        """
        if training is None:
            raise InputError(
                "GdnsRetrieval was not told whether this is training",
                remedy="Pass `training=training` on from `compute_loss(self, inputs, training=False)`.",
            )
        users, items = _numbers(query_ids, "query_ids"), _numbers(candidate_ids, "candidate_ids")
        queries, candidates = (tf.cast(x, tf.float32) for x in (query_embeddings, candidate_embeddings))
        scores = tf.linalg.matmul(queries, candidates, transpose_b=True)
        if self._temperature is not None:
            scores /= self._temperature
        positives = tf.linalg.diag_part(scores)

        # Places in the batch of users and items: equal ids have equal places.
        user, item = tf.unique(users).idx, tf.unique(items).idx
        allowed = _not_held(user, item)
        if score_mask is not None:
            allowed &= score_mask
        if self._distinct:
            allowed &= _last_of_equals(item) == tf.range(tf.size(item))
        columns, chosen, cells = self._choose(users, items, allowed)
        negatives = tf.gather(scores, columns, batch_dims=1)
        losses = self._loss(positives[:, None], negatives, tf.cast(chosen, tf.float32))
        loss = tf.reduce_sum(losses if sample_weight is None else losses * tf.reshape(sample_weight, [-1]))

        if training:
            self.gains.step.assign_add(1)
            if self._indicator is not None:
                # Rows of one user that chose one item are to write one value: the mean of theirs.
                same = user[:, None] * tf.size(item) + tf.gather(item, columns)
                same = tf.where(chosen, same, _NO_CANDIDATE)
                h = _mean_of_equals(tf.sigmoid(negatives - positives[:, None]), same)
                g = gain(cells[:, :, _G], cells[:, :, _H], h, self._smoothing, self._epsilon)
                pairs = self._pairs(users, tf.gather(items, columns))
                self._write(users, pairs, chosen, tf.stack([h, g], axis=2))
        for metric in self._loss_metrics:
            metric.update_state(loss)
        if compute_metrics:
            own = tf.shape(queries)[0]
            for metric in self._factorized_metrics:
                metric.update_state(
                    query_embeddings,
                    candidate_embeddings[:own],
                    true_candidate_ids=candidate_ids[:own],
                    sample_weight=sample_weight,
                )
        if compute_batch_metrics and self._batch_metrics:
            shown = tf.concat([positives[:, None], tf.where(chosen, negatives, tf.float32.min / 100)], axis=1)
            labels = tf.concat([tf.ones_like(shown[:, :1]), tf.zeros_like(negatives)], axis=1)
            for metric in self._batch_metrics:
                metric.update_state(labels, shown, sample_weight=sample_weight)
        return loss

    def gains_of(self, query_ids: tf.Tensor, candidate_ids: tf.Tensor) -> tf.Tensor:
        """H and G of each user with each item: [num_queries, num_candidates, 2] float32, 1 where never chosen.

        Args:
          query_ids: [num_queries] integers or strings.
          candidate_ids: [num_candidates] integers or strings.

        Raises:
          InputError: `sampler` is "uniform", which keeps none.
        """
        if self._indicator is None:
            raise InputError("a task with `sampler`='uniform' keeps no gains", remedy="Choose another sampler.")
        users, items = _numbers(query_ids, "query_ids"), _numbers(candidate_ids, "candidate_ids")
        return self.gains.table.read(users % self._num_users, self._pairs(users, items[None, :]))

    def _pairs(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """Numbers [n, m] int64 of pairs of users [n] and items [n or 1, m], which tell the users of one row apart.

        For users below `num_users` it is the item's own number, so that as many slots as items make the table exact.
        """
        turn = users // self._num_users
        return tf.bitwise.bitwise_and(items + _ODD * turn[:, None], tf.constant(_IDS - 1, tf.int64))

    def _choose(
        self, users: tf.Tensor, items: tf.Tensor, allowed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
        """Algorithm 1, lines 9 and 10.

        Args:
          users: [num_queries] int64.
          items: [num_candidates] int64.
          allowed: [num_queries, num_candidates] bool.

        Returns:
          [num_queries, n] int32 columns of the negatives. Whether they are some: not all are, where a row has too few
          candidates. [num_queries, n, 2] their H and G, None if uniform.
        """
        width = tf.shape(allowed)[1]
        draws = tf.random.stateless_uniform(
            tf.shape(allowed), tf.stack([tf.constant(self._seed, tf.int64), self.gains.step]), 0, 2**31 - 1, tf.int32
        )
        most = width if self._num_candidates is None else tf.minimum(self._num_candidates, width)
        draws, columns = tf.math.top_k(tf.where(allowed, draws, _NO_CANDIDATE), most)  # in random order
        candidate = draws != _NO_CANDIDATE
        count = tf.minimum(self._num_hard_negatives, most)
        if self._indicator is None:
            return columns[:, :count], candidate[:, :count], None
        cells = self.gains.table.read(users % self._num_users, self._pairs(users, tf.gather(items, columns)))
        # Ties fall to the earlier candidate, that is, to either at random. H and G are above 0.
        best = tf.math.top_k(tf.where(candidate, cells[:, :, self._indicator], -1.0), count).indices
        return tuple(tf.gather(values, best, batch_dims=1) for values in (columns, candidate, cells))

    def _write(self, users: tf.Tensor, pairs: tf.Tensor, chosen: tf.Tensor, values: tf.Tensor) -> None:
        """Writes H and G [num_queries, n, 2] of pairs [num_queries, n] where `chosen`; equal pairs, equal values."""
        rows = tf.where(chosen, (users % self._num_users)[:, None], self._num_users)
        rows, pairs, values = tf.reshape(rows, [-1]), tf.reshape(pairs, [-1, 1]), tf.reshape(values, [-1, 1, 2])
        # Pairs that share a slot would be written in no certain order, and on a GPU even in parts: the last one wins.
        last = _last_of_equals(self.gains.table.cell(rows, pairs)[:, 0])
        self.gains.table.write(rows, tf.gather(pairs, last), tf.gather(values, last))


def _numbers(ids: tf.Tensor | None, argument: str) -> tf.Tensor:
    """[n] int64, 0 or above, from integers or strings."""
    if ids is None:
        raise InputError(
            f"GdnsRetrieval needs `{argument}`", remedy="It keeps H and G of users and items by their ids."
        )
    ids = tf.reshape(ids, [-1])
    if ids.dtype == tf.string:
        return tf.strings.to_hash_bucket_fast(ids, _IDS)
    if not ids.dtype.is_integer:
        raise InputError(f"`{argument}` are {ids.dtype.name}", remedy="Give the ids as integers or strings.")
    return tf.math.floormod(tf.cast(ids, tf.int64), _IDS)


def _not_held(user: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
    """[num_queries, num_candidates] bool: whether the batch does not show that the row's user has the item.

    Args:
      user: [num_queries] int32 places of users.
      item: [num_candidates] int32 places of items, the users' own first.
    """
    rows = tf.size(user)
    shape = tf.stack([rows, tf.size(item)])
    held = tf.scatter_nd(tf.stack([user, item[:rows]], axis=1), tf.ones_like(user), shape)
    return tf.gather(tf.gather(held, user), item, axis=1) == 0


def _mean_of_equals(values: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
    """Replaces each value by the mean of those with its key; both of one shape."""
    group = tf.unique(tf.reshape(keys, [-1])).idx
    means = tf.math.unsorted_segment_mean(tf.reshape(values, [-1]), group, tf.size(keys))
    return tf.reshape(tf.gather(means, group), tf.shape(values))


def _last_of_equals(keys: tf.Tensor) -> tf.Tensor:
    """[n] int32: for each key [n] the last position at which it stands."""
    group, places = tf.unique(keys).idx, tf.range(tf.size(keys))
    return tf.gather(tf.math.unsorted_segment_max(places, group, tf.size(keys)), group)
