"""The best unseen items against a sort in plain Python."""

import numpy as np
from toy import toy_interactions

from gdns_tf.evaluation.top_items import top_items
from gdns_tf.models.factors import Factors


def test_equals_a_plain_sort_with_ties_by_item():
    train = toy_interactions()
    rng = np.random.default_rng(0)
    factors = Factors(*(rng.integers(-2, 3, shape) for shape in ((13, 3), (19, 3))))  # integers: many ties
    users = [4, 0, 12]
    for user, items in zip(users, top_items(factors, train, users, 6), strict=True):
        scores = factors.queries[user] @ factors.items.T
        unseen = [item for item in range(19) if item not in set(train.of(user))]
        assert items.tolist() == sorted(unseen, key=lambda item: (-scores[item], item))[:6]


def test_places_that_cannot_be_filled_are_marked():
    train = toy_interactions(num_users=2, num_items=5, fewest=2)
    factors = Factors(np.ones((2, 1)), np.ones((5, 1)))
    items = top_items(factors, train, [0], 10)
    assert items.shape == (1, 5)
    assert (items[0] == -1).sum() == train.counts[0]
