"""Cells of items that lie near each other, so that a search can pass over most of the catalogue.

Inverted lists (Jegou, Douze & Schmid, 2011): items are clustered by k-means, and a search looks into the clusters whose
centroids have the highest products with the query. Clusters differ in size, which a graph of dense tensors does not
like, so each is cut across its longest axis into cells of equal capacity, each with a centroid of its own: that is also
the sharper partition. A cell is a row of a table, read as a whole.
"""

from dataclasses import dataclass

import numpy as np

from gdns_tf.serving.contract import PROBES
from pipelines.errors import InputError

INDEXES = ("exact", "ivf")
"""What an export may have to retrieve by; all have exact retrieval."""
_CLUSTER = 4
"""Cells that a cluster is cut into, on average."""
_SAMPLE = 40
"""Items for each cluster that k-means is trained on."""
_ITERATIONS = 10
_MEASURED = 256
"""Users whose recall is told."""
_ASSIGNED_AT_ONCE = 2**18


@dataclass(frozen=True)
class Cells:
    """A partition of the items."""

    items: np.ndarray
    """[num_cells, capacity] int32 item numbers, ascending in each cell; -1 at its end where it is not full."""
    centroids: np.ndarray
    """[num_cells, d] float32: the mean of each cell's items."""


def capacity_for(num_items: int) -> int:
    """Items that a cell has room for: a power of two near sqrt(num_items) / 16, at least 16."""
    return int(2 ** np.clip(np.round(np.log2(max(num_items, 1) ** 0.5 / 16)), 4, 10))


def require_index_packages(index: str) -> None:
    """Raises InputError where what an index is built with is not installed."""
    if index == "ivf":
        try:
            import sklearn.cluster  # noqa: F401
        except ImportError:
            raise InputError(
                "`index`=ivf needs scikit-learn, which is not installed", remedy="pip install 'gdns_tf[index]'."
            ) from None


def build_cells(items: np.ndarray, seed: int = 0) -> Cells:
    """Partitions items into cells.

    Args:
      items: [num_items, d] floating.
      seed: of the sample that k-means is trained on, and of what it begins with.
    """
    items, capacity = np.asarray(items, np.float32), capacity_for(len(items))
    cluster_of = _clusters(items, max(len(items) // (_CLUSTER * capacity), 1), seed)
    order = np.argsort(cluster_of, kind="stable")
    cells = []
    for members in np.split(order, np.flatnonzero(np.diff(cluster_of[order])) + 1):
        cells += _cut(items, members, -(-len(members) // capacity))
    table = np.full((len(cells), capacity), -1, np.int32)
    for row, cell in zip(table, cells, strict=True):
        row[: len(cell)] = np.sort(cell)
    return Cells(table, np.stack([items[cell].mean(axis=0) for cell in cells]))


def describe_cells(cells: Cells, queries: np.ndarray, items: np.ndarray, k: int) -> dict:
    """What `describe` says of an index, which includes what it finds.

    Args:
      cells: the index.
      queries: [num_users, d] of the model.
      items: [num_items, d] of the model.
      k: items a user.

    Returns:
      "kind", "cells", "capacity", "probes"; "recall": the share of the k best of all items, seen ones among them, that
      is in the cells that are looked into unasked; of "users", evenly spaced, that it is the mean of.
    """
    users = np.linspace(0, len(queries) - 1, min(len(queries), _MEASURED)).astype(np.int64)
    cell_of = np.empty(len(items), np.int64)
    rows, places = np.nonzero(cells.items >= 0)
    cell_of[cells.items[rows, places]] = rows
    items, probes, shares = items.astype(np.float32), min(PROBES, len(cells.items)), []
    for query in queries[users]:
        best = np.argpartition(-(items @ query), k - 1)[:k]
        near = np.argpartition(-(cells.centroids @ query), probes - 1)[:probes]
        shares.append(np.isin(cell_of[best], near).mean())
    found = {"kind": "ivf", "cells": len(cells.items), "capacity": cells.items.shape[1], "probes": probes}
    return found | {"recall": float(np.mean(shares)), "k": k, "users": len(users)}


def format_cells(index: dict) -> str:
    """What `describe_cells` found, in a sentence."""
    return (
        f"`retrieve_approximately` looks into {index['probes']} of {index['cells']:,} cells of up to "
        f"{index['capacity']} items, unless `probes` says otherwise, and finds {index['recall']:.2%} of the "
        f"{index['k']} best of {index['users']} users."
    )


def _clusters(items: np.ndarray, number: int, seed: int) -> np.ndarray:
    """[num_items] the cluster of each item, by k-means on a sample."""
    from sklearn.cluster import KMeans

    rng = np.random.default_rng(seed)
    sample = items[rng.choice(len(items), min(len(items), _SAMPLE * number), replace=False)]
    means = KMeans(number, init="random", n_init=1, max_iter=_ITERATIONS, random_state=seed).fit(sample)
    starts = range(0, len(items), _ASSIGNED_AT_ONCE)
    return np.concatenate([means.predict(items[start : start + _ASSIGNED_AT_ONCE]) for start in starts])


def _cut(items: np.ndarray, members: np.ndarray, pieces: int) -> list[np.ndarray]:
    """Item numbers [n] in pieces of nearly equal size, cut across the axis along which they differ most."""
    if pieces == 1:
        return [members]
    rows = items[members]
    axis = np.linalg.eigh(np.cov(rows, rowvar=False).reshape(2 * rows.shape[1:]))[1][:, -1]
    left = pieces // 2
    at = len(members) * left // pieces
    order = np.argpartition(rows @ axis, at)
    return _cut(items, members[order[:at]], left) + _cut(items, members[order[at:]], pieces - left)
