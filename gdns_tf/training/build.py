"""From settings to the objects of a run."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf

from gdns_tf.models.batch_histories import BatchMasses
from gdns_tf.models.losses import LOSSES
from gdns_tf.models.scorer import Scorer
from gdns_tf.models.setup import Setup
from gdns_tf.samplers.base import Sampler
from gdns_tf.samplers.per_replica import PerReplica
from gdns_tf.training.base import ScorerTrainer
from gdns_tf.training.config import TrainConfig
from gdns_tf.training.memory import check_memory
from gdns_tf.training.multinomial import MultinomialTrainer
from gdns_tf.training.optimizers import make_optimizer
from gdns_tf.training.pairs import PairsTrainer
from gdns_tf.training.penalty import UserPenalty
from gdns_tf.training.recipes import MULTINOMIAL, PAIRS, SAMPLED_SOFTMAX
from gdns_tf.training.replicas.base import ALONE, Replicas
from gdns_tf.training.sampled_softmax import SampledSoftmaxTrainer
from gdns_tf.training.shared_negatives import SharedNegativesTrainer
from pipelines import batches, streamed_batches
from pipelines.draws import Masses
from pipelines.errors import require
from pipelines.interactions import Interactions
from pipelines.shares import Share
from pipelines.streamed import StreamedInteractions


def build_trainer(
    train: Interactions | StreamedInteractions, config: TrainConfig, replicas: Replicas = ALONE
) -> ScorerTrainer:
    """The compiled Keras model; its train function runs one epoch a call.

    Args:
      train: what it learns from.
      config: the settings.
      replicas: those that train together. The weights and the optimizer's numbers are of all, all else of each.

    Raises:
      InputError: it would not fit into memory, or a setting does not go with the data.
    """
    shares = replicas.shares(train)
    config = config.settled(replicas.most_users(shares[0]), train.num_items)
    setups = [replace(config.setup(train), share=share) for share in shares]
    setup = setups[0]
    check_memory(config, max(setups, key=lambda each: each.own.size), len(setups))
    _check_steps(setup)
    with replicas.scope():
        scorer = config.scorer_class.create(config.scorer_config, setup)
        optimizer = make_optimizer(config.optimizer, config.learning_rate, config.compiled)
        optimizer.build(scorer.trainable_variables)
    trainer = _TRAINERS[config.objective](scorer, _sampler(setups, config), setup, config)
    if setup.is_streamed:
        trainer.answer_from_batches(setup.histories)
    trainer.compile(optimizer=optimizer, jit_compile=config.compiled, steps_per_execution=setup.steps_per_epoch)
    return trainer


def _check_steps(setup: Setup) -> None:
    """Raises InputError where a replica had no user in some step."""
    rule = f"is too little for {setup.own.of} replicas: one would have no user in some step"
    require(min(setup.own.sizes) >= setup.steps_per_epoch, "batch_size", setup.batch_size, rule)


def _sampler(setups: Sequence[Setup], config: TrainConfig) -> Sampler | None:
    """What chooses negatives, for each replica of this process if there are several in all; None: nothing does."""
    if not config.has_sampler:
        return None
    samplers = [config.sampler_class.build(config.sampler_config, setup) for setup in setups]
    return samplers[0] if setups[0].own.of == 1 else PerReplica(samplers, [setup.own for setup in setups])


def _pairs(scorer: Scorer, sampler: Sampler, setup: Setup, config: TrainConfig) -> PairsTrainer:
    counts = tf.constant(setup.train.counts, tf.float32)
    user_weights = (counts / tf.reduce_mean(counts)) ** config.user_weight_power
    rule = "is too high for users whose numbers of items differ as much as here"
    require(np.isfinite(user_weights).all(), "user_weight_power", config.user_weight_power, rule)
    return PairsTrainer(
        scorer,
        sampler,
        LOSSES[config.loss](config.margin, config.pairing),
        user_weights,
        l2=config.l2,
        dropout=config.dropout,
        seed=config.seed,
        uniform_steps=_uniform_steps(setup, config),
        scored_in=config.compute_dtype,
    )


def _multinomial(scorer: Scorer, sampler: None, setup: Setup, config: TrainConfig) -> MultinomialTrainer:
    del sampler
    penalty = UserPenalty(setup.train, config.user_l2)
    options = {"users_a_step": setup.own_users_a_step, "dropout": config.dropout, "seed": config.seed}
    return MultinomialTrainer(scorer, setup.histories, penalty, **options)


def _sampled_softmax(scorer: Scorer, sampler: Sampler | None, setup: Setup, config: TrainConfig) -> ScorerTrainer:
    penalty = UserPenalty(setup.train, config.user_l2)
    weights = config.sampler_class.item_weights(config.sampler_config, setup)
    if setup.is_streamed:
        masses = BatchMasses(setup.train, setup.histories, weights)
    else:
        masses = Masses(setup.train, weights)
    options = {"dropout": config.dropout, "seed": config.seed}
    if config.shared_negatives:
        return SharedNegativesTrainer(scorer, setup.histories, penalty, masses=masses, **options)
    options["uniform_steps"] = _uniform_steps(setup, config)
    return SampledSoftmaxTrainer(scorer, sampler, setup.histories, masses, penalty, **options)


def _uniform_steps(setup: Setup, config: TrainConfig) -> int:
    return config.uniform_epochs * setup.steps_per_epoch


_TRAINERS = {PAIRS: _pairs, MULTINOMIAL: _multinomial, SAMPLED_SOFTMAX: _sampled_softmax}
"""Objective -> its trainer of a scorer."""


@tf.autograph.experimental.do_not_convert  # no draw needs it, and it takes a second
def build_batches(
    train: Interactions | StreamedInteractions,
    config: TrainConfig,
    first_epoch: int = 0,
    share: Share | None = None,
    lists: Sequence[str] = (),
) -> tf.data.Dataset:
    """The batches of a run from an epoch on.

    Args:
      train: what to learn from.
      config: the settings.
      first_epoch: the epoch, from 0, to begin with.
      share: of one of several replicas; None: all users.
      lists: of streamed data, other lists of the records to bring along to a sampler's batches.
    """
    setup = config.setup(train)
    common = {"batch_size": setup.batch_size, "seed": config.seed, "first_epoch": first_epoch, "share": share}
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
