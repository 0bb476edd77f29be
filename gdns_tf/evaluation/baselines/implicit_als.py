"""Implicit ALS (Hu, Koren and Volinsky, ICDM 2008)."""

from gdns_tf.evaluation.baselines.matrix import as_matrix
from gdns_tf.evaluation.baselines.packages import require_package
from gdns_tf.models.factors import Factors
from pipelines.interactions import Interactions


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
    require_package("implicit", "iALS")
    require_package("threadpoolctl", "iALS")
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):  # it has threads of its own, which BLAS's would only slow down
        model = AlternatingLeastSquares(
            factors=dim,
            regularization=regularization,
            alpha=alpha,  # scales the data, which comes to the same
            iterations=iterations,
            use_cg=False,  # exact sweeps
            random_state=seed,
        )
        model.fit(as_matrix(train), show_progress=False)
    return Factors(model.user_factors, model.item_factors)
