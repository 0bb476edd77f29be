"""From flags to the objects of a run."""

import tensorflow as tf

from gdns_tf.models.gmf import GMF
from gdns_tf.models.losses import LOSSES
from gdns_tf.samplers import SAMPLERS
from gdns_tf.training.config import TrainConfig
from gdns_tf.training.trainer import Trainer
from pipelines.batches import steps_per_epoch, user_batches
from pipelines.interactions import Interactions


def build_trainer(train: Interactions, config: TrainConfig) -> Trainer:
    """The compiled Keras model; its train function runs one epoch a call."""
    scorer = GMF(
        train.num_users,
        train.num_items,
        config.dim,
        init_scale=config.init_scale,
        seed=config.seed,
        dense_item_gradient=_few_items(train, config) and not config.jit_compile and not _on_gpu(),
    )
    counts = tf.constant(train.counts, tf.float32)
    trainer = Trainer(
        scorer,
        SAMPLERS[config.sampler].build(train, config),
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
    sampler = SAMPLERS[config.sampler]
    return user_batches(
        train,
        batch_size=config.batch_size,
        group_size=config.group_size,
        num_candidates=sampler.num_candidates(config),
        item_weights=sampler.item_weights(train, config),
        seed=config.seed,
        first_epoch=first_epoch,
    )


def _optimizer(config: TrainConfig) -> tf.keras.optimizers.Optimizer:
    options = {"learning_rate": config.learning_rate, "jit_compile": config.jit_compile}
    if config.optimizer == "adagrad":
        return tf.keras.optimizers.Adagrad(initial_accumulator_value=0.1, epsilon=1e-8, **options)
    return {"adam": tf.keras.optimizers.Adam, "sgd": tf.keras.optimizers.SGD}[config.optimizer](**options)


def _few_items(train: Interactions, config: TrainConfig) -> bool:
    """Whether a batch lists a fair part of the items, so that a gradient with a row for each wastes little."""
    return train.num_items <= 4 * min(config.batch_size, train.num_users) * config.group_size


def _on_gpu() -> bool:
    return bool(tf.config.list_physical_devices("GPU"))
