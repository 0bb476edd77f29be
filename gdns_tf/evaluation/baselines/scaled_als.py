"""Implicit ALS with regularisation scaled by frequency (Rendle et al., RecSys 2022)."""

from gdns_tf.evaluation.baselines.matrix import as_matrix
from gdns_tf.evaluation.baselines.packages import require_package
from gdns_tf.models.factors import Factors
from pipelines.interactions import Interactions


def scaled_als(
    train: Interactions,
    *,
    dim: int = 32,
    regularization: float = 0.005,
    alpha0: float = 0.2,
    iterations: int = 16,
    seed: int = 0,
) -> Factors:
    """iALS by the package `irspack`, as "Revisiting the Performance of iALS" found it competitive.

    Minimises sum over observed u, i of (p_u . q_i - 1)^2 + alpha0 sum over all u, i of (p_u . q_i)^2
    + regularization (sum_u (n_u + alpha0 num_items) |p_u|^2 + sum_i (n_i + alpha0 num_users) |q_i|^2), by conjugate
    gradients (3 steps a half-sweep): on MovieLens-1M as good as exact sweeps, at d = 128 in a quarter of the time.

    Args:
      train: the interactions.
      dim: d.
      regularization: L2 strength, lambda.
      alpha0: weight of unobserved pairs.
      iterations: sweeps over users and items.
      seed: of the start.

    Raises:
      InputError: the package is not installed.
    """
    require_package("irspack", "iALS with scaled regularisation")
    from irspack.recommenders import IALSRecommender

    model = IALSRecommender(
        as_matrix(train), n_components=dim, alpha0=alpha0, reg=regularization, nu=1.0, random_seed=seed
    )
    model.start_learning()
    for _ in range(iterations):  # `learn` would show a progress bar
        model.run_epoch()
    return Factors(model.get_user_embedding(), model.get_item_embedding())
