"""The generator of the adversarial samplers: a model of its own that draws negatives and learns by REINFORCE."""

from dataclasses import dataclass
from typing import Self

import tensorflow as tf

from gdns_tf.models import stateless
from gdns_tf.models.inner_products import sum_by_item
from gdns_tf.models.setup import Setup
from gdns_tf.samplers.base import Batch, SamplerConfig, Selection
from gdns_tf.samplers.scatter import write_rows
from pipelines.config import flag

INIT_SCALE = 0.05
INITIAL_ACCUMULATOR = 1e-3
ENTROPY = 0.4
"""Weight of the entropy, for each unit of temperature."""


@dataclass(frozen=True)
class GeneratorConfig(SamplerConfig):
    """Settings of samplers with a generator."""

    generator_rate: float = flag(0.05, "Learning rate of the generator.", above=0, at_most=1000)
    temperature: float = flag(1.0, "Of the softmax over candidates.", at_least=1e-6, at_most=1e6)


class Generator(tf.Module):
    """p(j | u) = softmax over the user's candidates of (p_u . q_j + b_j) / temperature.

    IRGAN's is a softmax over the catalogue, which costs a score for every user and item. As in KBGAN (Cai & Wang, 2018)
    and the authors' code of RNS, it is one over M uniformly drawn candidates here.

    It is rewarded for entropy too, without which it comes to draw the same few candidates, mostly false negatives, from
    which the model unlearns. Against fixed rewards it would end at p in proportion to exp(reward / (c temperature)).
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        dim: int,
        *,
        rate: float = 0.05,
        temperature: float = 1.0,
        seed: int = 0,
        compiled: bool = False,
    ) -> None:
        """Args:
        num_users, num_items, dim: of the factors.
        rate: learning rate of its Adagrad.
        temperature: of the softmax.
        seed: of the start.
        compiled: whether under XLA.
        """
        super().__init__(name="generator")
        self._rate, self._temperature, self._compiled = rate, temperature, compiled

        def variable(values: tf.Tensor, name: str) -> tf.Variable:
            return tf.Variable(values, trainable=False, name=name)  # no gradient tape needs to watch it

        normal = tf.random.stateless_normal
        self.P = variable(INIT_SCALE * normal([num_users, dim], [seed, 0x6E1]), "P")
        # The last column is the bias b, as if every user had a factor 1 for it.
        self.Q = variable(tf.pad(INIT_SCALE * normal([num_items, dim], [seed, 0x6E2]), [[0, 0], [0, 1]]), "Q")
        self.squares_of_P = variable(tf.fill(self.P.shape, INITIAL_ACCUMULATOR), "squares_of_P")
        self.squares_of_Q = variable(tf.fill(self.Q.shape, INITIAL_ACCUMULATOR), "squares_of_Q")

    @classmethod
    def build(cls, config: GeneratorConfig, setup: Setup) -> Self:
        """The generator for a run, by its settings."""
        return cls(
            setup.train.num_users,
            setup.train.num_items,
            setup.dim,
            rate=config.generator_rate,
            temperature=config.temperature,
            seed=setup.seed,
            compiled=setup.compiled,
        )

    def probabilities(self, batch: Batch) -> tf.Tensor:
        """p(j | u) of each candidate, [batch, num_candidates]."""
        return self._probabilities(self._queries(batch), tf.gather(self.Q, batch.candidates))

    def draw(self, batch: Batch) -> Selection:
        """Independent draws from p(j | u); what `learn` needs is in the memo."""
        rows = tf.gather(self.Q, batch.candidates)
        probabilities = self._probabilities(self._queries(batch), rows)
        up_to = tf.cumsum(probabilities, axis=1)
        points = up_to[:, -1:] * stateless.uniform(tf.shape(batch.positives), batch.seed)
        # A point could be rounded up to the end of the last candidate.
        places = tf.minimum(tf.searchsorted(up_to, points, side="right"), probabilities.shape[1] - 1)
        chosen = tf.gather(probabilities, places, batch_dims=1)
        return Selection(
            tf.gather(batch.candidates, places, batch_dims=1),
            (places, probabilities, rows),
            tf.math.log(tf.maximum(chosen * batch.group_size, 1e-30)),  # 0 where a point was rounded up to the last
        )

    def learn(self, batch: Batch, selection: Selection, advantages: tf.Tensor) -> None:
        """A step of Adagrad up the mean over the user's draws of advantage * log p(j | u), and the entropy of p.

        Args:
          batch: of users and candidates.
          selection: what `draw` gave for it, with nothing learnt since.
          advantages: [batch, group_size]: by how much the reward of each draw beats the baseline.
        """
        places, probabilities, rows = selection.memo
        queries = self._queries(batch)
        of_logits = self._gradient(places, probabilities, advantages / batch.group_size)
        of_logits += ENTROPY * self._temperature * self._entropy_gradient(probabilities)
        of_users = tf.matmul(of_logits[:, None, :], rows[:, :, :-1])[:, 0]
        if self._compiled:  # XLA has no sparse product
            shares = of_logits[:, :, None] * queries[:, None, :]
            of_items = tf.math.unsorted_segment_sum(shares, batch.candidates, self.Q.shape[0])
        else:
            of_items = sum_by_item(batch.candidates, of_logits, queries, self.Q.shape[0])

        squares = tf.gather(self.squares_of_P, batch.users) + tf.square(of_users)
        step = self._rate * of_users * tf.math.rsqrt(squares)
        write_rows(self.squares_of_P, batch.users, squares, self._compiled)
        write_rows(self.P, batch.users, queries[:, :-1] + step, self._compiled)
        squares = self.squares_of_Q.assign_add(tf.square(of_items))
        self.Q.assign_add(self._rate * of_items * tf.math.rsqrt(squares))

    def _queries(self, batch: Batch) -> tf.Tensor:
        """[batch, dim + 1]: p_u, and 1 for the bias."""
        return tf.pad(tf.gather(self.P, batch.users), [[0, 0], [0, 1]], constant_values=1.0)

    def _probabilities(self, queries: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        logits = tf.matmul(queries[:, None, :], rows, transpose_b=True)[:, 0]
        return tf.nn.softmax(logits / self._temperature)

    def _gradient(self, places: tf.Tensor, probabilities: tf.Tensor, advantages: tf.Tensor) -> tf.Tensor:
        """Of sum_k advantage_k log p(j_k | u) for the candidates' scores: [batch, num_candidates].

        Draw k adds advantage_k (1[j = j_k] - p(j | u)) / temperature.
        """
        count = probabilities.shape[1]
        flat = places + count * tf.range(tf.shape(places)[0])[:, None]
        sums = tf.math.unsorted_segment_sum(advantages, flat, tf.size(probabilities))
        at_places = tf.reshape(sums, tf.shape(probabilities))
        return (at_places - probabilities * tf.reduce_sum(advantages, axis=1, keepdims=True)) / self._temperature

    def _entropy_gradient(self, probabilities: tf.Tensor) -> tf.Tensor:
        """Of -sum_j p(j | u) log p(j | u) for the candidates' scores: [batch, num_candidates]."""
        terms = tf.math.xlogy(probabilities, probabilities)
        return (probabilities * tf.reduce_sum(terms, axis=1, keepdims=True) - terms) / self._temperature
