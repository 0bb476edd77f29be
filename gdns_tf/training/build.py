"""From settings to the objects of a run."""

import tensorflow as tf

from gdns_tf.models.losses import LOSSES
from gdns_tf.training.config import TrainConfig
from gdns_tf.training.multinomial import MultinomialTrainer
from gdns_tf.training.optimizers import make_optimizer
from gdns_tf.training.trainer import Trainer
from pipelines.batches import steps_per_epoch, user_batches, visits
from pipelines.errors import require
from pipelines.interactions import Interactions


def build_trainer(train: Interactions, config: TrainConfig) -> Trainer | MultinomialTrainer:
    """The compiled Keras model; its train function runs one epoch a call."""
    setup = config.setup(train)
    scorer = config.scorer_class.create(config.scorer_config, setup)
    if config.objective == "multinomial":
        require(not config.jit_compile, "jit_compile", True, "does not go with `objective`=multinomial")
        options = {"user_l2": config.user_l2, "dropout": config.dropout, "seed": config.seed}
        trainer = MultinomialTrainer(scorer, train, **options)
    else:
        counts = tf.constant(train.counts, tf.float32)
        trainer = Trainer(
            scorer,
            config.sampler_class.build(config.sampler_config, setup),
            LOSSES[config.loss](config.margin, config.pairing),
            (counts / tf.reduce_mean(counts)) ** config.user_weight_power,
            l2=config.l2,
            dropout=config.dropout,
            seed=config.seed,
        )
    trainer.compile(
        optimizer=make_optimizer(config.optimizer, config.learning_rate, config.jit_compile),
        jit_compile=config.jit_compile,
        steps_per_execution=steps_per_epoch(train.num_users, config.batch_size),
    )
    trainer.optimizer.build(scorer.trainable_variables)
    return trainer


def build_batches(train: Interactions, config: TrainConfig, first_epoch: int = 0) -> tf.data.Dataset:
    """The batches of a run from an epoch on."""
    if config.objective == "multinomial":
        return visits(train.num_users, batch_size=config.batch_size, seed=config.seed, first_epoch=first_epoch)
    sampler, setup = config.sampler_class, config.setup(train)
    return user_batches(
        train,
        batch_size=config.batch_size,
        group_size=config.group_size,
        num_candidates=sampler.num_candidates(config.sampler_config, setup),
        item_weights=sampler.item_weights(config.sampler_config, setup),
        seed=config.seed,
        first_epoch=first_epoch,
    )
