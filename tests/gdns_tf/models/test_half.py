"""Mixed precision: what is multiplied is rounded, what is summed is not."""

import numpy as np
import pytest
import tensorflow as tf
from toy import toy_interactions

from gdns_tf.models.gmf import GMF
from gdns_tf.training.build import build_batches, build_trainer
from gdns_tf.training.config import TrainConfig
from pipelines.errors import InputError

TRAIN = toy_interactions()
BFLOAT16 = tf.bfloat16.as_numpy_dtype


def rounded(values):
    return np.asarray(values).astype(BFLOAT16).astype(np.float64)


@pytest.mark.parametrize("dense", [False, True])
def test_scores_and_gradients_are_those_of_rounded_factors(dense):
    scorer = GMF(4, 9, 70, init_scale=1.0, dense_item_gradient=dense)
    queries, items = scorer.queries(tf.constant([3, 1])), tf.constant([[0, 8, 8], [5, 0, 2]])
    upstream = np.array([[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]], np.float32)
    with tf.GradientTape() as tape:
        tape.watch(queries)
        scores = scorer.scores(tf.cast(queries, tf.bfloat16), items)
        objective = tf.reduce_sum(scores * upstream)
    of_queries, of_table = tape.gradient(objective, [queries, scorer.Q])
    rows = rounded(scorer.Q)[items.numpy()]
    assert scores.dtype == tf.float32
    np.testing.assert_allclose(scores, np.einsum("bd,bnd->bn", rounded(queries), rows), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(of_queries, np.einsum("bn,bnd->bd", upstream, rows), rtol=2**-8, atol=1e-2)
    expected = np.zeros([9, 70])
    np.add.at(expected, items.numpy(), upstream[:, :, None] * rounded(queries)[:, None, :])
    np.testing.assert_allclose(tf.convert_to_tensor(of_table), expected, rtol=2**-7, atol=1e-2)


def test_a_step_of_mixed_precision_is_near_that_of_float32():
    losses, weights = [], []
    for dtype in ("float32", "bfloat16"):
        config = TrainConfig.from_settings(sampler="gdns", compute_dtype=dtype, init_scale=0.3, group_size=4)
        trainer = build_trainer(TRAIN, config)
        losses += [float(trainer.train_step(data)["loss"]) for data in build_batches(TRAIN, config).take(1)]
        weights.append([v.numpy() for v in trainer.scorer.trainable_variables])
    assert losses[0] == pytest.approx(losses[1], rel=0.01)
    assert losses[0] != losses[1]
    assert all(v.dtype == np.float32 for v in weights[1])


def test_it_is_of_pairs_and_of_scorers_that_know_how():
    with pytest.raises(InputError, match="`compute_dtype`=bfloat16 does not go with `objective`=multinomial"):
        TrainConfig.from_settings(compute_dtype="bfloat16")
    with pytest.raises(InputError, match="`compute_dtype`=float16 is not known"):
        TrainConfig.from_settings(sampler="gdns", compute_dtype="float16")
