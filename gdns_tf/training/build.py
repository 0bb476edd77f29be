"""From settings to the objects of a run."""

import numpy as np
import tensorflow as tf

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
from pipelines.batches import shared_batches, steps_per_epoch, user_batches, visits
from pipelines.draws import Masses
from pipelines.errors import require
from pipelines.interactions import Interactions


def build_trainer(train: Interactions, config: TrainConfig) -> ScorerTrainer:
    """The compiled Keras model; its train function runs one epoch a call.

    Raises:
      InputError: it would not fit into memory, or a setting does not go with the data.
    """
    config = config.settled(train.num_users, train.num_items)
    setup = config.setup(train)
    check_memory(config, setup)
    scorer = config.scorer_class.create(config.scorer_config, setup)
    trainer = _TRAINERS[config.objective](scorer, setup, config)
    trainer.compile(
        optimizer=make_optimizer(config.optimizer, config.learning_rate, config.compiled),
        jit_compile=config.compiled,
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
        scored_in=config.compute_dtype,
    )


def _multinomial(scorer: Scorer, setup: Setup, config: TrainConfig) -> MultinomialTrainer:
    penalty = UserPenalty(setup.train, config.user_l2)
    options = {"users_a_step": setup.users_a_step, "dropout": config.dropout, "seed": config.seed}
    return MultinomialTrainer(scorer, setup.histories, penalty, **options)


def _sampled_softmax(scorer: Scorer, setup: Setup, config: TrainConfig) -> ScorerTrainer:
    sampler, penalty = config.sampler_class, UserPenalty(setup.train, config.user_l2)
    masses = Masses(setup.train, sampler.item_weights(config.sampler_config, setup))
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


def build_batches(train: Interactions, config: TrainConfig, first_epoch: int = 0) -> tf.data.Dataset:
    """The batches of a run from an epoch on."""
    setup = config.setup(train)
    common = {"batch_size": setup.batch_size, "seed": config.seed, "first_epoch": first_epoch}
    if config.objective == MULTINOMIAL:
        return visits(train.num_users, **common)
    sampler = config.sampler_class
    common["item_weights"] = sampler.item_weights(config.sampler_config, setup)
    if config.objective == SAMPLED_SOFTMAX and config.shared_negatives:
        return shared_batches(train, num_negatives=config.group_size, **common)
    num_candidates = sampler.num_candidates(config.sampler_config, setup)
    return user_batches(train, group_size=config.group_size, num_candidates=num_candidates, **common)
