"""From settings to the objects of a run."""

import tensorflow as tf

from gdns_tf.models.losses import LOSSES
from gdns_tf.training.config import TrainConfig
from gdns_tf.training.trainer import Trainer
from pipelines.batches import steps_per_epoch, user_batches
from pipelines.interactions import Interactions


def build_trainer(train: Interactions, config: TrainConfig) -> Trainer:
    """The compiled Keras model; its train function runs one epoch a call."""
    setup = config.setup(train)
    scorer = config.scorer_class.create(config.scorer_config, setup)
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
        optimizer=_optimizer(config),
        jit_compile=config.jit_compile,
        steps_per_execution=steps_per_epoch(train.num_users, config.batch_size),
    )
    trainer.optimizer.build(scorer.trainable_variables)
    return trainer


def build_batches(train: Interactions, config: TrainConfig, first_epoch: int = 0) -> tf.data.Dataset:
    """The batches of a run from an epoch on."""
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


def _optimizer(config: TrainConfig) -> tf.keras.optimizers.Optimizer:
    options = {"learning_rate": config.learning_rate, "jit_compile": config.jit_compile}
    if config.optimizer == "adagrad":
        return tf.keras.optimizers.Adagrad(initial_accumulator_value=0.1, epsilon=1e-8, **options)
    return {"adam": tf.keras.optimizers.Adam, "sgd": tf.keras.optimizers.SGD}[config.optimizer](**options)
