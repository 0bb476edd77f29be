"""Item-kNN against scikit-learn's cosines and against loops over pairs of items."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity
from toy import toy_interactions

from gdns_tf.evaluation.baselines import item_knn

TRAIN = toy_interactions(num_users=60, num_items=25)
X = np.zeros((60, 25))
X[TRAIN.users, TRAIN.items] = 1


def test_with_all_neighbours_and_no_shrinkage_weights_are_cosines():
    model = item_knn(TRAIN, top_k=25, shrinkage=0.0)
    expected = cosine_similarity(X.T)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(model.weights.toarray(), expected, atol=1e-6)
    np.testing.assert_allclose(model.scores(np.array([3, 0])), X[[3, 0]] @ expected, atol=1e-5)


@pytest.mark.parametrize(("top_k", "shrinkage"), [(25, 7.0), (6, 2.0)])
def test_each_item_goes_by_the_nearest_of_its_own(top_k, shrinkage):
    found = item_knn(TRAIN, top_k=top_k, shrinkage=shrinkage).weights.toarray()
    for j in range(25):
        likeness = [X[:, i] @ X[:, j] / (np.sqrt(X[:, i].sum() * X[:, j].sum()) + shrinkage) for i in range(25)]
        kept = np.flatnonzero(found[:, j])
        np.testing.assert_allclose(found[kept, j], np.array(likeness)[kept], rtol=1e-5)
        left_out = np.setdiff1d(np.arange(25), [*kept, j])
        assert len(kept) <= top_k - 1
        if len(left_out):
            assert found[kept, j].min() >= max(likeness[i] for i in left_out) - 1e-6
