"""EASE, the embarrassingly shallow autoencoder (Steck, WWW 2019)."""

import numpy as np

from gdns_tf.evaluation.baselines.matrix import as_matrix
from gdns_tf.evaluation.baselines.packages import require_package
from gdns_tf.evaluation.item_weights import ItemWeights
from pipelines.interactions import Interactions


def ease(train: Interactions, *, regularization: float = 500.0) -> ItemWeights:
    """EASE by the package `irspack`: the linear map from histories to themselves that may not use an item for itself.

    Minimises |X - X B|^2 + regularization |B|^2 with diag(B) = 0, in closed form: B_ij = -P_ij / P_jj, where P is the
    inverse of X'X + regularization I. Memory is that of a few matrices [num_items, num_items] of float32: about 400 MB
    each for 10,000 items.

    Args:
      train: the interactions.
      regularization: L2 strength, lambda.

    Raises:
      InputError: the package is not installed.
    """
    require_package("irspack", "EASE")
    from irspack.recommenders import DenseSLIMRecommender

    histories = as_matrix(train)
    model = DenseSLIMRecommender(histories, reg=regularization).learn()
    return ItemWeights(histories, np.asarray(model.W, np.float32))
