"""From settings to the objects of a run."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from gdns_tf.models.batch_histories import BatchMasses
from gdns_tf.models.losses import LOSSES
from gdns_tf.models.scorer import Scorer
from gdns_tf.models.setup import Setup
from gdns_tf.training.base import ScorerTrainer
from gdns_tf.training.config import TrainConfig
from gdns_tf.training.memory import check_memory
from gdns_tf.training.multinomial import MultinomialTrainer
from gdns_tf.training.optimizers import make_optimizer
from gdns_tf.training.pairs import PairsTrainer
from gdns_tf.training.penalty import UserPenalty
from gdns_tf.training.recipes import MULTINOMIAL, PAIRS, SAMPLED_SOFTMAX
from gdns_tf.training.sampled_softmax import SampledSoftmaxTrainer
from gdns_tf.training.shared_negatives import SharedNegativesTrainer
from pipelines import batches, streamed_batches
from pipelines.batches import steps_per_epoch
from pipelines.draws import Masses
from pipelines.errors import require
from pipelines.interactions import Interactions
from pipelines.streamed import StreamedInteractions


def build_trainer(train: Interactions | StreamedInteractions, config: TrainConfig) -> ScorerTrainer:
    """The compiled Keras model; its train function runs one epoch a call.

    Raises:
      InputError: it would not fit into memory, or a setting does not go with the data.
    """
    setup = config.setup(train)
    check_memory(config, setup)
    scorer = config.scorer_class.create(config.scorer_config, setup)
    trainer = _TRAINERS[config.objective](scorer, setup, config)
    if setup.is_streamed:
        trainer.answer_from_batches(setup.histories)
    trainer.compile(
        optimizer=make_optimizer(config.optimizer, config.learning_rate, config.jit_compile),
        jit_compile=config.jit_compile,
        steps_per_execution=steps_per_epoch(train.num_users, setup.batch_size),
    )
    trainer.optimizer.build(scorer.trainable_variables)
    return trainer


def _pairs(scorer: Scorer, setup: Setup, config: TrainConfig) -> PairsTrainer:
    counts = tf.constant(setup.train.counts, tf.float32)
    user_weights = (counts / tf.reduce_mean(counts)) ** config.user_weight_power
    rule = "is too high for users whose numbers of items differ as much as here"
    require(np.isfinite(user_weights).all(), "user_weight_power", config.user_weight_power, rule)
    return PairsTrainer(
        scorer,
        config.sampler_class.build(config.sampler_config, setup),
        LOSSES[config.loss](config.margin, config.pairing),
        user_weights,
        l2=config.l2,
        dropout=config.dropout,
        seed=config.seed,
        uniform_steps=_uniform_steps(setup, config),
    )


def _multinomial(scorer: Scorer, setup: Setup, config: TrainConfig) -> MultinomialTrainer:
    penalty = UserPenalty(setup.train, config.user_l2)
    options = {"users_a_step": setup.users_a_step, "dropout": config.dropout, "seed": config.seed}
    return MultinomialTrainer(scorer, setup.histories, penalty, **options)


def _sampled_softmax(scorer: Scorer, setup: Setup, config: TrainConfig) -> ScorerTrainer:
    sampler, penalty = config.sampler_class, UserPenalty(setup.train, config.user_l2)
    weights = sampler.item_weights(config.sampler_config, setup)
    if setup.is_streamed:
        masses = BatchMasses(setup.train, setup.histories, weights)
    else:
        masses = Masses(setup.train, weights)
    options = {"dropout": config.dropout, "seed": config.seed}
    if config.shared_negatives:
        return SharedNegativesTrainer(scorer, setup.histories, penalty, masses=masses, **options)
    built = sampler.build(config.sampler_config, setup)
    options["uniform_steps"] = _uniform_steps(setup, config)
    return SampledSoftmaxTrainer(scorer, built, setup.histories, masses, penalty, **options)


def _uniform_steps(setup: Setup, config: TrainConfig) -> int:
    return config.uniform_epochs * steps_per_epoch(setup.train.num_users, setup.batch_size)


_TRAINERS = {PAIRS: _pairs, MULTINOMIAL: _multinomial, SAMPLED_SOFTMAX: _sampled_softmax}
"""Objective -> its trainer of a scorer."""


def build_batches(
    train: Interactions | StreamedInteractions, config: TrainConfig, first_epoch: int = 0, lists: Sequence[str] = ()
) -> tf.data.Dataset:
    """The batches of a run from an epoch on.

    Args:
      train: what to learn from.
      config: the settings.
      first_epoch: the epoch, from 0, to begin with.
      lists: of streamed data, other lists of the records to bring along to a sampler's batches.
    """
    setup = config.setup(train)
    common = {"batch_size": setup.batch_size, "seed": config.seed, "first_epoch": first_epoch}
    source = streamed_batches if setup.is_streamed else batches
    if config.objective == MULTINOMIAL:
        return source.visits(train if setup.is_streamed else train.num_users, **common)
    sampler = config.sampler_class
    common["item_weights"] = sampler.item_weights(config.sampler_config, setup)
    if config.objective == SAMPLED_SOFTMAX and config.shared_negatives:
        return source.shared_batches(train, num_negatives=config.group_size, **common)
    num_candidates = sampler.num_candidates(config.sampler_config, setup)
    common |= {"lists": lists} if setup.is_streamed else {}
    return source.user_batches(train, group_size=config.group_size, num_candidates=num_candidates, **common)
