"""From a trained model to a version folder that TensorFlow Serving loads."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import tensorflow as tf

from gdns_tf.evaluation.degenerate import degeneracy
from gdns_tf.evaluation.fitness import REMEDY, objections
from gdns_tf.models.factors import Factors
from gdns_tf.runs.loading import data_of, load_trained
from gdns_tf.serving.card import format_card
from gdns_tf.serving.contract import TITLES
from gdns_tf.serving.description import about_training, describe
from gdns_tf.serving.float16 import effect_of_rounding, format_effect
from gdns_tf.serving.fold_in import FoldIn
from gdns_tf.serving.in_memory import served_model
from gdns_tf.serving.index import INDEXES, build_cells, describe_cells, format_cells, require_index_packages
from gdns_tf.serving.limits import Limits
from gdns_tf.serving.tables import ITEM_DTYPES, stored_items
from gdns_tf.serving.versions import check_export_dir, new_version, remove_superseded
from gdns_tf.serving.warmup import example_inputs, write_warmup
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.errors import InputError, require
from pipelines.interactions import Interactions
from pipelines.load import load_dataset
from pipelines.notices import notices
from pipelines.sample import Sample, sampled
from pipelines.split import Split
from pipelines.streamed import StreamedSplit
from pipelines.tf_files import tf_writing


def export_run(
    run_dir: str | os.PathLike,
    export_dir: str | os.PathLike,
    *,
    k: int = 100,
    item_dtype: str = "float32",
    version: int | None = None,
    keep_versions: int = 0,
    index: str = "exact",
    fold_in: FoldIn | None = None,
    limits: Limits | None = None,
    export_anyway: bool = False,
    data: DataConfig | None = None,
    split: Split | None = None,
) -> Path:
    """Exports the model of a run: that of its second training (`refit`) where there was one, else its best weights.

    Args:
      run_dir: the folder of a training run.
      export_dir, k, item_dtype, version, keep_versions, index, fold_in, limits, export_anyway: as for `export_model`.
        By which metric the model must be better than popularity, the run says (`select`).
      data: where the data is; None: where the run found it.
      split: the data, where it is loaded already.

    Returns:
      The version folder.

    Raises:
      InputError: as `export_model`; or there is no run, it has not ended or diverged, or the data is not that which it
        was trained on.
    """
    check_options(
        export_dir,
        k=k,
        item_dtype=item_dtype,
        version=version,
        keep_versions=keep_versions,
        index=index,
        limits=limits,
    )
    data = data or data_of(run_dir)
    split = split or load_dataset(data)
    trained = load_trained(run_dir, split)
    return export_model(
        trained.served,
        split,
        export_dir,
        k=k,
        item_dtype=item_dtype,
        version=version,
        keep_versions=keep_versions,
        index=index,
        fold_in=fold_in,
        limits=limits,
        export_anyway=export_anyway,
        evaluated=trained.first,
        select=trained.config.select,
        measured_on=sampled(split, trained.config.valid_users, trained.config.seed),
        about=about_training(trained, data),
    )


def export_model(
    factors: Factors,
    split: Split | StreamedSplit,
    export_dir: str | os.PathLike,
    *,
    k: int = 100,
    item_dtype: str = "float32",
    version: int | None = None,
    keep_versions: int = 0,
    index: str = "exact",
    fold_in: FoldIn | None = None,
    limits: Limits | None = None,
    export_anyway: bool = False,
    evaluated: Factors | None = None,
    select: str = TrainConfig.select,
    measured_on: Split | StreamedSplit | Sample | None = None,
    about: Mapping[str, object] | None = None,
) -> Path:
    """Exports a model as the next version of a served one; what was done goes to `pipelines.notices`.

    A model is refused that does not rank better than popularity, or whose scores are alike: nobody looks at its metrics
    again once it is live. See `gdns_tf.evaluation.fitness`.

    Args:
      factors: the model.
      split: the data that it was trained on: raw ids, titles, what users have seen, popularity.
      export_dir: the folder of the model, on this machine or in an object store (gs://, s3://). Its name is that of the
        model, and versions are numbered folders in it.
      k: items that the signature `serving_default` returns, at most the number of items.
      item_dtype: "float32" or "float16", in which the item factors are stored.
      version: number of the version; None: one above the highest.
      keep_versions: how many versions to keep, this one among them; older ones are removed. 0: all.
      index: "exact", or "ivf" for the signature `retrieve_approximately` besides, which looks into a part of a large
        catalogue; see `gdns_tf.serving.index`. Needs `gdns_tf[index]`.
      fold_in: strengths of `retrieve_by_history`.
      limits: what a request may ask for at most; None: `Limits()`.
      export_anyway: whether such a model is exported too; its card then says what it is. Factors that are no finite
        numbers never are.
      evaluated: the model as far as it knows no held-out items, by which it is judged; None: `factors`.
      select: the metric on validation that must be better than that of popularity.
      measured_on: the data, or the sample of its users by whom it must be; None: `split`.
      about: what `describe` and the model card tell besides: "flags", "metrics" and "refit", as from `about_training`.

    Returns:
      The version folder.

    Raises:
      InputError: an option cannot be used, the model is not fit to be served, an id or a number cannot be served, or
        the folder cannot be written. Nothing is left behind.

    Example:
      export_model(factors, split, "savedmodel/models/gdns")  # -> Path("/.../savedmodel/models/gdns/1")
    """
    check_options(
        export_dir,
        k=k,
        item_dtype=item_dtype,
        version=version,
        keep_versions=keep_versions,
        index=index,
        limits=limits,
    )
    if fault := factors.fault():
        remedy = "The training diverged: train again with a lower `learning_rate`."
        raise InputError(f"the model is not fit to be served: {fault}", remedy=remedy)
    about, strengths = about or {}, fold_in or FoldIn()
    found = _objections(factors, measured_on or split, select, evaluated, bool(about.get("refit")))
    if found and not export_anyway:
        told = "; ".join(found)
        raise InputError(f"the model is not fit to be served: {told}", remedy=f"{REMEDY} Or set `export_anyway`.")
    stored = stored_items(factors, item_dtype)
    if item_dtype != "float32" and not found and (lost := degeneracy(replace(factors, items=stored))):
        raise InputError(f"in {item_dtype} {lost}", remedy="Export with `item_dtype`=float32.")  # small ones vanish
    description = describe(
        factors, split, k=k, item_dtype=item_dtype, fold_in=strengths, about=about, limits=limits or Limits()
    )
    description |= {"objections": found} if found else {}
    if item_dtype != "float32":
        knows = description["refit"] or factors.encoder is not None  # whose queries are of all that users have
        description["rounding"] = effect_of_rounding(factors, stored, split, knows_held_out=knows)
        notices.info(format_effect(description["rounding"]))
    cells = None
    if index == "ivf":
        cells = build_cells(stored)
        description["index"] = describe_cells(cells, factors.queries, stored, description["k"])
        notices.info(format_cells(description["index"]))

    with TemporaryDirectory() as assets, new_version(export_dir, version) as (published, folder):
        name, number = published.parent.name, int(published.name)
        description = {"model": name, "version": number} | description
        model = served_model(factors, split, description, strengths, Path(assets), cells)
        examples = example_inputs(split.train.user_ids, split.train.item_ids, description["k"], model.contract())
        with tf_writing(published.parent, "export_dir"):
            tf.saved_model.save(model, str(folder), signatures=model.signatures())
            warm = write_warmup(folder, name, examples)
        _write_titles(folder, split.train)
        (folder / "README.md").write_text(format_card(description, examples, warm), encoding="utf-8")
    if found:
        notices.warning("Exported by `export_anyway`, though it is not fit to be served: %s.", "; ".join(found))
    if not warm:
        notices.warning("No warm-up requests were written: pip install 'gdns_tf[serving]' for them.")
    notices.info("Exported version %d: %s", number, published)
    if keep_versions:
        remove_superseded(published, keep_versions)
    return published


def _objections(
    factors: Factors, split: Split | StreamedSplit | Sample, select: str, evaluated: Factors | None, refit: bool
) -> list[str]:
    """What speaks against serving a model; one that was trained once more must pass by both trainings.

    The second one cannot be evaluated, but what it has learnt it must know better than popularity does.
    """
    found = objections(factors if evaluated is None else evaluated, split, select)
    if refit and not found:
        found = [f"after the second training {clause}" for clause in objections(factors, split, select)]
    return found


def check_options(
    export_dir: str | os.PathLike,
    *,
    k: int = 100,
    item_dtype: str = "float32",
    version: int | None = None,
    keep_versions: int = 0,
    index: str = "exact",
    limits: Limits | None = None,
) -> None:
    """Raises InputError where an option of `export_model` cannot be used; call it before anything that takes long."""
    if not os.fspath(export_dir):
        raise InputError("`export_dir` is not set", remedy="For example `export_dir`=savedmodel/models/gdns.")
    most = (limits or Limits()).k
    require(1 <= k <= most, "k", k, "must be at least 1" if k < 1 else f"is above `max_k`={most}")
    require(item_dtype in ITEM_DTYPES, "item_dtype", item_dtype, f"must be one of {', '.join(ITEM_DTYPES)}")
    require(index in INDEXES, "index", index, f"must be one of {', '.join(INDEXES)}")
    require_index_packages(index)
    require(version is None or version >= 1, "version", version, "must be at least 1")
    require(keep_versions >= 0, "keep_versions", keep_versions, "must be 0 (all) or more")
    check_export_dir(export_dir, version)


def _write_titles(folder: Path, interactions: Interactions) -> None:
    """`id<TAB>title` lines, for clients; the server does not look at them."""
    if interactions.titles is None:
        return
    path = folder / TITLES
    path.parent.mkdir(exist_ok=True)
    pairs = zip(interactions.item_ids.tolist(), interactions.titles.tolist(), strict=True)
    path.write_text("".join(f"{raw_id}\t{' '.join(title.split())}\n" for raw_id, title in pairs), encoding="utf-8")
