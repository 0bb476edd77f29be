"""Interactions as the packages want them."""

import numpy as np
from scipy import sparse

from pipelines.interactions import Interactions


def as_matrix(train: Interactions) -> sparse.csr_matrix:
    """[num_users, num_items] float32: 1 for what a user has; a copy, for packages sort it in place."""
    ones = np.ones(train.num_interactions, np.float32)
    return sparse.csr_matrix((ones, train.items, train.offsets), (train.num_users, train.num_items), copy=True)
