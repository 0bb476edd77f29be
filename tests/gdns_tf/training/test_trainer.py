"""Training steps against the NumPy oracle."""

import numpy as np
import pytest
import tensorflow as tf
from numpy_oracle import Oracle
from toy import PAPER, toy_interactions

from gdns_tf.training.base import ScorerTrainer
from gdns_tf.training.build import build_batches, build_trainer
from gdns_tf.training.config import TrainConfig

TRAIN = toy_interactions()
RATE, MARGIN, SMOOTHING, EPSILON = 0.09, 0.7, 0.2, 1e-8


def config(**changes):
    settings = {
        "output_dir": "unused",
        "group_size": 3,
        "num_candidates": 8,
        "dim": 5,
        "init_scale": 0.6,
        "batch_size": 5,
        "margin": MARGIN,
    }
    return TrainConfig.from_settings(**(PAPER | settings | changes))


def oracle_of(trainer, settings):
    counts = TRAIN.counts
    return Oracle(
        *(v.numpy() for v in trainer.scorer.trainable_variables),
        loss=settings.loss,
        pairing=settings.pairing,
        margin=settings.margin,
        l2=settings.l2,
        user_weights=(counts / counts.mean()) ** settings.user_weight_power,
        smoothing=SMOOTHING,
        epsilon=EPSILON,
        rate=settings.learning_rate,
        indicator={"gdns": "g", "gdns_without_g": "h", "uniform": None}[settings.sampler],
    )


def masks_of(settings, batch):
    """The dropout masks of a batch: draws, like the batch itself, so taken from where the trainer takes them."""
    ones = tf.ones([len(batch["users"]), settings.dim])
    if not settings.dropout:
        return ones.numpy()
    seed = tf.stack([tf.constant(settings.seed, tf.int64), batch["step"]])
    return tf.nn.experimental.stateless_dropout(ones, settings.dropout, seed).numpy()


SAMPLERS, PAIRINGS = ("gdns", "gdns_without_g", "uniform"), ("group", "pair")
LOSSES = (
    ("hinge", 0.0, 0.0, 0.0, True),
    ("squared_hinge", 0.03, 0.3, 0.5, True),
    ("squared_hinge", 0.03, 0.3, 0.5, False),
    ("softplus", 0.1, 0.0, 1.0, True),
)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("pairing", PAIRINGS)
@pytest.mark.parametrize(("loss", "l2", "dropout", "power", "dense"), LOSSES)
def test_steps_equal_the_oracle(sampler, pairing, loss, l2, dropout, power, dense, pytestconfig):
    # Half of the cases have every pair of a sampler, a pairing and a loss.
    number = SAMPLERS.index(sampler) + PAIRINGS.index(pairing) + LOSSES.index((loss, l2, dropout, power, dense))
    if number % 2 and not pytestconfig.getoption("--exhaustive"):
        pytest.skip("every pair of choices; `pytest --exhaustive -k oracle` tries all three together")
    settings = config(sampler=sampler, pairing=pairing, loss=loss, l2=l2, dropout=dropout, user_weight_power=power)
    trainer = build_trainer(TRAIN, settings)
    trainer.scorer._dense_item_gradient = dense
    oracle = oracle_of(trainer, settings)
    step = tf.function(trainer.train_step, reduce_retracing=True)
    for batch in build_batches(TRAIN, settings).take(9):  # three epochs
        arrays = {name: value.numpy() for name, value in batch.items()}
        orders = trainer.sampler.select(trainer.batch(batch), trainer.scorer).negatives.numpy()
        expected, _ = oracle.step(
            arrays["users"], arrays["positives"], arrays["candidates"], masks_of(settings, batch), orders
        )
        trainer.reset_metrics()
        np.testing.assert_allclose(step(batch)["loss"], expected, rtol=2e-5)
    for ours, theirs in zip(trainer.scorer.trainable_variables, (oracle.P, oracle.Q, oracle.w), strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=2e-4, atol=2e-5)
    if sampler != "uniform":
        table = trainer.sampler.table.cells.numpy().reshape(TRAIN.num_users, TRAIN.num_items, 2)
        np.testing.assert_allclose(table[:, :, 0], oracle.H, rtol=1e-4)
        np.testing.assert_allclose(table[:, :, 1], oracle.G, rtol=1e-4)
        assert (oracle.H != 1).mean() > 0.2  # the comparison is not of untouched cells


def test_gradients_equal_the_oracle():
    settings = config(loss="squared_hinge", l2=0.05, optimizer="sgd", learning_rate=1.0)
    trainer = build_trainer(TRAIN, settings)
    before = [v.numpy() for v in trainer.scorer.trainable_variables]
    batch = next(iter(build_batches(TRAIN, settings)))
    oracle = oracle_of(trainer, settings)
    arrays = {name: value.numpy() for name, value in batch.items()}
    _, expected = oracle.step(arrays["users"], arrays["positives"], arrays["candidates"], masks_of(settings, batch))
    trainer.train_step(batch)
    for v, old, gradient in zip(trainer.scorer.trainable_variables, before, expected, strict=True):
        np.testing.assert_allclose(old - v.numpy(), gradient, rtol=1e-4, atol=1e-5)


def test_the_tables_are_no_weights_of_the_model():
    trainer = build_trainer(TRAIN, config())
    assert {tuple(v.shape) for v in trainer.trainable_variables} == {(13, 5), (19, 5), (5,)}
    assert all(v.shape.num_elements() < 13 * 19 for v in trainer.weights)


def test_keras_fit_trains():
    settings = config(loss="squared_hinge", sampler="gdns")
    trainer = build_trainer(TRAIN, settings)
    history = trainer.fit(build_batches(TRAIN, settings), steps_per_epoch=3, epochs=30, verbose=0).history["loss"]
    assert history[-1] < 0.7 * history[0]


def test_an_epoch_is_that_of_keras_but_traces_one_step(monkeypatch):
    settings, found = config(sampler="gdns"), []
    for of in (ScorerTrainer, tf.keras.Model):
        trainer, traced = build_trainer(TRAIN, settings), []
        step = trainer.step
        monkeypatch.setattr(trainer, "step", lambda data, step=step, traced=traced: traced.append(data) or step(data))
        train_epoch, batches = of.make_train_function(trainer), iter(build_batches(TRAIN, settings))
        losses = [train_epoch(batches)["loss"].numpy() for _ in range(3)]
        steps = trainer._train_counter.numpy()
        assert steps == 3 * settings.setup(TRAIN).steps_per_epoch > 3
        found.append((len(traced), losses, [v.numpy() for v in trainer.variables]))
    (traced, losses, values), (of_keras, expected_losses, expected) = found
    assert traced == 1 < of_keras
    assert losses == expected_losses
    for value, other in zip(values, expected, strict=True):
        np.testing.assert_array_equal(value, other)


def test_compiled_step_equals_the_plain_one():
    results = []
    for compiled in (False, True):
        settings = config(jit_compile=compiled, loss="squared_hinge", l2=0.01)
        trainer = build_trainer(TRAIN, settings)
        train_epoch, batches = trainer.make_train_function(), iter(build_batches(TRAIN, settings))
        for _ in range(2):
            train_epoch(batches)
        results.append([v.numpy() for v in [*trainer.scorer.trainable_variables, trainer.sampler.table.cells]])
    for plain, compiled in zip(*results, strict=True):
        np.testing.assert_allclose(plain, compiled, rtol=1e-4, atol=1e-5)
