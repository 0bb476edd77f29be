"""BPR and WARP on planted data: far above popularity, and the same again by the same seed."""

import numpy as np
import pytest

from gdns_tf.evaluation.baselines import BASELINES, popularity
from gdns_tf.evaluation.ranking import evaluate
from pipelines.config import DataConfig
from pipelines.load import load_dataset

DATASET = load_dataset(DataConfig(dataset="planted", planted_users=400, planted_items=200))


def ndcg(model):
    return evaluate(model, DATASET, "test").means()["ndcg@10"]


@pytest.mark.parametrize(("name", "package"), [("bpr", "cornac"), ("warp", "lightfm")])
def test_ranks_far_above_popularity_and_the_seed_decides(name, package):
    pytest.importorskip(package)
    first, again, other = (BASELINES[name](DATASET.train, dim=16, seed=seed) for seed in (1, 1, 2))
    assert ndcg(first) > 1.5 * ndcg(popularity(DATASET.train))
    np.testing.assert_array_equal(first.items, again.items)
    assert (first.items != other.items).any()


def test_the_scores_of_warp_are_those_of_lightfm():
    lightfm = pytest.importorskip("lightfm")
    from gdns_tf.evaluation.baselines.matrix import as_matrix

    model = lightfm.LightFM(
        no_components=8, loss="warp", learning_rate=0.05, user_alpha=1e-6, item_alpha=1e-6, random_state=3
    )
    model.fit(as_matrix(DATASET.train), epochs=4, num_threads=1)
    ours = BASELINES["warp"](DATASET.train, dim=8, seed=3, iterations=4)
    theirs = model.predict(np.full(200, 5), np.arange(200))
    scores = ours.items @ ours.queries[5]
    np.testing.assert_allclose(scores - scores[0], theirs - theirs[0], atol=1e-4)  # but for the user's bias
