"""WARP, the weighted approximate-rank pairwise loss (Weston et al., IJCAI 2011)."""

import numpy as np

from gdns_tf.evaluation.baselines.matrix import as_matrix
from gdns_tf.evaluation.baselines.packages import require_package
from gdns_tf.models.factors import Factors
from pipelines.interactions import Interactions


def warp(
    train: Interactions,
    *,
    dim: int = 32,
    learning_rate: float = 0.05,
    regularization: float = 1e-6,
    iterations: int = 20,
    seed: int = 0,
) -> Factors:
    """Matrix factorisation with item biases by the WARP loss of `lightfm`: draws negatives until one ranks too high.

    On one thread: several would race, and the same seed give another model.

    Args:
      train: the interactions.
      dim: d; the factors have one dimension more, for the bias.
      learning_rate: of Adagrad at the start.
      regularization: L2 strength of users and items.
      iterations: epochs.
      seed: of the start and the draws.

    Raises:
      InputError: the package is not installed.
    """
    require_package("lightfm", "WARP")
    from lightfm import LightFM

    model = LightFM(
        no_components=dim,
        loss="warp",
        learning_rate=learning_rate,
        user_alpha=regularization,
        item_alpha=regularization,
        random_state=seed,
    )
    model.fit(as_matrix(train), epochs=iterations, num_threads=1)
    # Their own biases rank no item above another for a user.
    queries = np.column_stack([model.user_embeddings, np.ones(train.num_users)])
    return Factors(queries, np.column_stack([model.item_embeddings, model.item_biases]))
