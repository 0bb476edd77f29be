"""SVD++ and the tied history encoder against their definitions, and through a file."""

import numpy as np
import tensorflow as tf
from toy import toy_interactions

from gdns_tf.models.factors import Factors
from gdns_tf.models.histories import Histories
from gdns_tf.models.history import History
from gdns_tf.models.svdpp import SvdPp
from gdns_tf.models.weights_file import load_weights, save_arrays
from gdns_tf.training.build import build_batches, build_trainer
from gdns_tf.training.config import TrainConfig

TRAIN = toy_interactions()
EVERYONE, EVERYTHING = tf.range(13), tf.tile(tf.range(19)[None], [13, 1])


def scores(factors: Factors) -> np.ndarray:
    return factors.queries @ factors.items.T


def test_a_user_is_a_row_and_the_sum_of_their_items(tmp_path):
    scorer = SvdPp(Histories(TRAIN), 4, power=0.5, init_scale=1.0)
    A, Q, P = (scorer.arrays()[name].astype(float) for name in "AQP")
    queries = P + np.array([A[TRAIN.of(user)].sum(axis=0) / len(TRAIN.of(user)) ** 0.5 for user in range(13)])
    np.testing.assert_allclose(scorer((EVERYONE, EVERYTHING)), queries @ Q.T, rtol=1e-4, atol=1e-4)
    save_arrays(tmp_path / "weights.npz", scorer.arrays())
    for name in ("svdpp", ""):  # told by the names of the arrays, though those of `history` are among them
        weights = load_weights(tmp_path / "weights.npz", name)
        assert weights.scorer == "svdpp"
        np.testing.assert_allclose(scores(weights.factors(TRAIN)), queries @ Q.T, rtol=1e-4, atol=1e-4)
    encoder = weights.factors(TRAIN).encoder  # of a user who was not trained on: no row
    np.testing.assert_allclose(encoder.vectors, A, rtol=1e-6)


def test_regularisation_of_rows():
    scorer = SvdPp(Histories(TRAIN), 4, init_scale=1.0)
    users, weights = tf.constant([3, 7]), tf.constant([2.0, 5.0])
    P = scorer.P.numpy()
    without = super(SvdPp, scorer).l2_of_catalogue(users, weights, tf.ones(19))
    of_users = 0.5 * (2 * (P[3] ** 2).sum() + 5 * (P[7] ** 2).sum())
    np.testing.assert_allclose(scorer.l2_of_catalogue(users, weights, tf.ones(19)) - without, of_users, rtol=1e-4)


def test_tied_has_one_vector_an_item():
    scorer = History(Histories(TRAIN), 4, tied=True, init_scale=1.0)
    assert [v.name for v in scorer.trainable_variables] == ["Q:0"]
    Q = scorer.Q.numpy().astype(float)
    queries = np.array([Q[TRAIN.of(user)].sum(axis=0) / len(TRAIN.of(user)) ** 0.7 for user in range(13)])
    np.testing.assert_allclose(scorer((EVERYONE, EVERYTHING)), queries @ Q.T, rtol=1e-4, atol=1e-4)
    arrays = scorer.arrays([tf.Variable(2 * scorer.Q)])  # as of averages
    np.testing.assert_array_equal(arrays["A"], arrays["Q"])
    np.testing.assert_allclose(scores(History.factors(arrays, TRAIN)), 4 * queries @ Q.T, rtol=1e-4, atol=1e-4)
    squares = scorer.l2_of_catalogue(EVERYONE, tf.ones(13), tf.ones(19))
    np.testing.assert_allclose(squares, 0.5 * (Q**2).sum(), rtol=1e-5)


def test_the_gradient_of_tied_vectors_has_both_parts():
    config = TrainConfig.from_settings(
        history_tied=True, history_dropout=0.0, user_l2=0.0, dim=3, batch_size=13, init_scale=0.5, optimizer="sgd",
        learning_rate=1.0,
    )  # fmt: skip
    trainer = build_trainer(TRAIN, config)
    batch, old = next(iter(build_batches(TRAIN, config))), trainer.scorer.Q.numpy().astype(np.float64)

    def objective(Q):
        total = 0.0
        for user in range(13):
            r = Q @ (Q[TRAIN.of(user)].sum(axis=0) * len(TRAIN.of(user)) ** -0.7)
            total += len(TRAIN.of(user)) * np.log(np.exp(r).sum()) - r[TRAIN.of(user)].sum()
        return total / TRAIN.counts.mean()

    trainer.train_step(batch)
    gradient = old - trainer.scorer.Q.numpy()
    for item, k in [(0, 0), (5, 2), (18, 1)]:
        step = np.zeros_like(old)
        step[item, k] = 1e-5
        numeric = (objective(old + step) - objective(old - step)) / 2e-5
        np.testing.assert_allclose(gradient[item, k], numeric, rtol=1e-3, atol=1e-3)
