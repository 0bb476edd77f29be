"""BPR, Bayesian personalised ranking (Rendle et al., UAI 2009)."""

from gdns_tf.evaluation.baselines.matrix import as_matrix
from gdns_tf.evaluation.baselines.packages import require_package
from gdns_tf.models.factors import Factors
from pipelines.interactions import Interactions


def bpr(
    train: Interactions,
    *,
    dim: int = 32,
    learning_rate: float = 0.05,
    regularization: float = 0.01,
    iterations: int = 100,
    seed: int = 0,
) -> Factors:
    """Matrix factorisation with item biases by the BPR loss of the package `implicit`, negatives drawn uniformly.

    On one thread: several would race, and the same seed give another model.

    Args:
      train: the interactions.
      dim: d; the factors have one dimension more, for the bias.
      learning_rate: of stochastic gradient descent.
      regularization: L2 strength.
      iterations: epochs.
      seed: of the start and the draws.

    Raises:
      InputError: the package is not installed.
    """
    require_package("implicit", "BPR")
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(
        factors=dim,
        learning_rate=learning_rate,
        regularization=regularization,
        iterations=iterations,
        num_threads=1,
        random_state=seed,
    )
    model.fit(as_matrix(train), show_progress=False)
    return Factors(model.user_factors, model.item_factors)
