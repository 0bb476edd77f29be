"""What can be ranked: a trained model as far as evaluation looks at it."""

import numpy as np

from gdns_tf.evaluation.item_weights import ItemWeights
from gdns_tf.models.factors import Factors

Model = Factors | ItemWeights
"""Has `num_users` and `num_items`, and a score for each pair."""


def scores_of(model: Model, users: slice | np.ndarray) -> np.ndarray:
    """The scores of all items for some users: [num_users of them, num_items] float32."""
    return model.queries[users] @ model.items.T if isinstance(model, Factors) else model.scores(users)
