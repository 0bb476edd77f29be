"""Recommenders that sample no negatives, to compare with: popularity, and implicit ALS (Hu, Koren and Volinsky, 2008).

Both come as factors, so that the same evaluation ranks them.
"""

from collections.abc import Callable

import numpy as np
from scipy import sparse

from gdns_tf.models.factors import Factors
from pipelines.errors import InputError
from pipelines.interactions import Interactions


def popularity(train: Interactions) -> Factors:
    """Scores an item by how many users have it: factors of one dimension."""
    return Factors(np.ones((train.num_users, 1)), train.item_counts[:, None])


def implicit_als(
    train: Interactions,
    *,
    dim: int = 32,
    regularization: float = 10.0,
    alpha: float = 2.0,
    iterations: int = 15,
    seed: int = 0,
) -> Factors:
    """Implicit ALS by the package `implicit`: weighted least squares on all user-item pairs.

    Minimises sum over u, i of c_ui (x_ui - p_u . q_i)^2 + regularization (|P|^2 + |Q|^2), where x_ui is 1 and c_ui is
    alpha for an observed pair, and x_ui is 0 and c_ui is 1 for any other.

    Args:
      train: the interactions.
      dim: d.
      regularization: L2 strength.
      alpha: confidence of an observed pair.
      iterations: sweeps over users and items.
      seed: of the start.

    Raises:
      InputError: the package is not installed.
    """
    try:
        from implicit.cpu.als import AlternatingLeastSquares
        from threadpoolctl import threadpool_limits
    except ImportError:
        raise InputError("iALS needs the package implicit", remedy="pip install -e '.[study]'") from None
    ones = np.ones(train.num_interactions, np.float32)
    observed = sparse.csr_matrix((ones, train.items, train.offsets), (train.num_users, train.num_items))
    with threadpool_limits(1, "blas"):  # it has threads of its own, which BLAS's would only slow down
        model = AlternatingLeastSquares(
            factors=dim,
            regularization=regularization,
            alpha=alpha,  # scales the data, which comes to the same
            iterations=iterations,
            use_cg=False,  # exact sweeps
            random_state=seed,
        )
        model.fit(observed, show_progress=False)
    return Factors(model.user_factors, model.item_factors)


BASELINES: dict[str, Callable[..., Factors]] = {
    "popularity": lambda train, **_: popularity(train),
    "ials": implicit_als,
}
"""Name -> factors of (interactions, dim=, seed=, and its own options)."""
