"""Item-based nearest neighbours (Sarwar et al., WWW 2001)."""

from gdns_tf.evaluation.baselines.matrix import as_matrix
from gdns_tf.evaluation.baselines.packages import require_package
from gdns_tf.evaluation.item_weights import ItemWeights
from pipelines.interactions import Interactions


def item_knn(train: Interactions, *, top_k: int = 50, shrinkage: float = 10.0) -> ItemWeights:
    """Item-kNN by the package `irspack`: an item scores the sum of its likeness to what the user has of its nearest.

    The likeness of two items is n_ij / (sqrt(n_i n_j) + shrinkage), where n counts users: the cosine, shrunk where
    there is little to go by (Dacrema et al., RecSys 2019).

    Args:
      train: the interactions.
      top_k: how many items, those most like it and itself among them, speak for an item.
      shrinkage: see above.

    Raises:
      InputError: the package is not installed.
    """
    require_package("irspack", "item-kNN")
    from irspack.recommenders import CosineKNNRecommender

    histories = as_matrix(train)
    model = CosineKNNRecommender(histories, shrinkage=shrinkage, top_k=top_k, normalize=True).learn()
    # It keeps the nearest of each item of the user's, which lets popular items into every list. The likeness is
    # symmetric, so transposed these are the nearest of each item that is scored, as Sarwar et al. have it.
    return ItemWeights(histories, model.W.T.astype("float32").tocsr())
