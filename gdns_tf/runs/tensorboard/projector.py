"""The Projector tab: the items as points, with their titles and how popular they are."""

from pathlib import Path

import numpy as np
from tensorboard.plugins import projector

from gdns_tf.models.factors import Factors
from pipelines.atomic import write_text, writing
from pipelines.interactions import Interactions
from pipelines.tf_files import tf_writing

MOST_ITEMS = 10_000
"""So many a browser turns smoothly. Of a larger catalogue the most popular are shown: the vectors of the others rest on
few users, and say little."""
BINS = 5


def write_projector(folder: Path, factors: Factors, train: Interactions) -> None:
    """Writes the items' vectors, as far as they count for likeness, the most popular first, and what is known of them.

    Args:
      folder: of the run's logs.
      factors: of the weights that were kept.
      train: what users have in training.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    vectors, metadata = folder / "items.tsv", folder / "items_metadata.tsv"
    counts = train.item_counts
    shown = np.argsort(-counts, kind="stable")[:MOST_ITEMS]
    values = (factors.items[shown] * factors.dimension_weights).tolist()
    write_text(vectors, "".join("\t".join(f"{value:.5g}" for value in row) + "\n" for row in values))
    columns = {"id": train.item_ids[shown], "users": counts[shown], "popularity": popularity_bins(counts)[shown]}
    if train.titles is not None:
        columns = {"title": train.titles[shown]} | columns  # the first is what points are labelled with
    lines = [columns.keys(), *zip(*columns.values(), strict=True)]
    write_text(metadata, "".join("\t".join(map(_cell, line)) + "\n" for line in lines))
    config = projector.ProjectorConfig()
    config.embeddings.add(tensor_name="items", tensor_path=vectors.name, metadata_path=metadata.name)
    with tf_writing(folder):
        projector.visualize_embeddings(str(folder), config)


def popularity_bins(counts: np.ndarray) -> np.ndarray:
    """In which fifth of the items by popularity each item is; equally popular ones are in the same.

    Args:
      counts: [num_items] users of each item.

    Returns:
      [num_items] str, such as "2 of 5: 3 to 9 users", to colour points by.
    """
    edges = np.unique(np.quantile(counts, np.arange(1, BINS) / BINS, method="higher"))
    bins = np.searchsorted(edges, counts, side="right")
    _, bins = np.unique(bins, return_inverse=True)
    total = bins.max() + 1
    names = [
        f"{number + 1} of {total}: {of.min():,} to {of.max():,} users"
        for number in range(total)
        for of in [counts[bins == number]]
    ]
    return np.array(names)[bins]


def _cell(value: object) -> str:
    """A value as one cell: tabs and ends of lines would begin others."""
    return " ".join(str(value).split())
