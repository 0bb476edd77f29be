"""A trained model with all its signatures in this process, without a SavedModel."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from gdns_tf.models.factors import Factors
from gdns_tf.serving.description import describe
from gdns_tf.serving.fold_in import FoldIn
from gdns_tf.serving.index import Cells
from gdns_tf.serving.indexed_model import IndexedModel
from gdns_tf.serving.limits import Limits
from gdns_tf.serving.model import ServedModel
from pipelines.split import Split


def in_memory(
    factors: Factors,
    split: Split,
    *,
    k: int = 100,
    item_dtype: str = "float32",
    fold_in: FoldIn | None = None,
    about: Mapping[str, object] | None = None,
) -> ServedModel:
    """The model that `export_model` would save, to use at once; without limits, for nobody else asks it.

    Args:
      factors: the model.
      split: the data that it was trained on: raw ids, what users have seen, popularity.
      k, item_dtype, fold_in, about: as for `export_model`.

    Raises:
      InputError: an id cannot be served, or a score could exceed the numbers of its type.

    Example:
      answer = in_memory(factors, split).signatures()["serving_default"](user_ids=tf.constant([42], tf.int64))
    """
    strengths = fold_in or FoldIn()
    description = describe(factors, split, k=k, item_dtype=item_dtype, fold_in=strengths, about=about or {})
    with TemporaryDirectory() as assets:  # the tables are filled from it when the model is made, and never again
        return served_model(factors, split, {"model": "", "version": None} | description, strengths, Path(assets))


def served_model(
    factors: Factors,
    split: Split,
    description: Mapping[str, object],
    fold_in: FoldIn,
    assets: Path,
    cells: Cells | None = None,
) -> ServedModel:
    """The graph of a model and its data.

    Args:
      factors, split: as for `in_memory`.
      description: from `describe`, with the model's name and its version's number.
      fold_in: strengths of `retrieve_by_history`.
      assets: an existing folder for the vocabularies; see `ServedModel`.
      cells: a partition of the items, for approximate retrieval; None: there is none.
    """
    limits = description["limits"]
    make = ServedModel if cells is None else partial(IndexedModel, cells)
    return make(
        factors,
        split.all_interactions(),
        popularity=split.train.item_counts,
        k=description["k"],
        item_dtype=description["item_dtype"],
        fold_in_strengths=fold_in,
        description=dict(description),
        assets=assets,
        limits=limits and Limits(limits["users"], limits["k"], limits["ids"]),
    )
