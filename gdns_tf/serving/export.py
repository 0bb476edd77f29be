"""From a training run to a version folder that TensorFlow Serving loads."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tensorflow as tf

import gdns_tf
from gdns_tf.evaluate import load_model
from gdns_tf.flags import read_config
from gdns_tf.models.factors import Weights
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.serving.card import format_card, format_effect
from gdns_tf.serving.float16 import effect_of_rounding
from gdns_tf.serving.fold_in import FoldIn
from gdns_tf.serving.model import ITEM_DTYPES, PADDING_SCORE, ServedModel, stored_items
from gdns_tf.serving.versions import new_version
from gdns_tf.serving.warmup import example_inputs, write_warmup
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.interactions import Interactions
from pipelines.load import load_dataset
from pipelines.split import Split

_OF_THE_MACHINE = ("data_dir", "output_dir", "export_dir", "overwrite")
"""Flags that say nothing about the model."""


def export_run(
    run_dir: str | Path,
    export_dir: str | Path,
    *,
    k: int = 100,
    item_dtype: str = "float32",
    version: int | None = None,
    fold_in: FoldIn | None = None,
    data: DataConfig | None = None,
    dataset: Split | None = None,
) -> Path:
    """Exports the best weights of a run as the next version of a model, and prints what it did.

    Args:
      run_dir: the folder of a training run.
      export_dir: the folder of the model, whose name is the model's; versions are numbered folders in it.
      k: items that the signature `serving_default` returns, at most the number of items.
      item_dtype: "float32" or "float16", in which the item factors are stored.
      version: number of the version; None: one above the highest.
      fold_in: strengths of `retrieve_by_history`.
      data: the data flags; None: those of the run.
      dataset: the data, where it is loaded already.

    Returns:
      The version folder.

    Raises:
      InputError: there is no run, it has not ended or diverged, the data is not that which it was trained on, an option
        cannot be used, or the folder cannot be written. Nothing is left behind.
    """
    _check_options(export_dir, k, item_dtype, version)
    run = RunFolder(run_dir)
    data = data or data_of_run(run_dir)
    dataset = dataset or load_dataset(data)
    weights = load_model(str(run_dir), dataset)
    seen = dataset.all_interactions()
    description = _describe(run, data, dataset, weights, k, item_dtype, fold_in or FoldIn())
    if item_dtype != "float32":
        stored = stored_items(weights, item_dtype)
        description["rounding"] = effect_of_rounding(weights, stored, seen, dataset)
        print(format_effect(description["rounding"]), flush=True)

    export_dir = Path(export_dir).absolute()
    with TemporaryDirectory() as assets, new_version(export_dir, version) as (number, folder):
        description = {"model": export_dir.name, "version": number} | description
        model = ServedModel(
            weights,
            seen,
            popularity=np.bincount(dataset.train.items, minlength=weights.num_items),
            k=k,
            item_dtype=item_dtype,
            fold_in_strengths=fold_in or FoldIn(),
            description=description,
            assets=Path(assets),
        )
        tf.saved_model.save(model, str(folder), signatures=model.signatures())
        examples = example_inputs(seen.user_ids, seen.item_ids, description["k"])
        warm = write_warmup(folder, export_dir.name, examples)
        _write_titles(folder, seen)
        (folder / "README.md").write_text(format_card(description, examples, warm), encoding="utf-8")
    if not warm:
        print("No warm-up requests were written: pip install 'gdns_tf[serving]' for them.")
    print(f"Exported version {number}: {export_dir / str(number)}")
    return export_dir / str(number)


def data_of_run(run_dir: str | Path) -> DataConfig:
    """The data flags of a run.

    Raises:
      InputError: there is no run.
    """
    flags = RunFolder(run_dir).flags
    if not flags.exists():
        raise InputError(f"there is no {flags.name}", path=run_dir, remedy="Give the --output_dir of a training run.")
    return read_config(flags, DataConfig)


def _check_options(export_dir: str | Path, k: int, item_dtype: str, version: int | None) -> None:
    if not str(export_dir):
        raise InputError("--export_dir is not set", remedy="For example --export_dir=savedmodel/models/gdns.")
    if k < 1:
        raise InputError(f"--k={k} must be at least 1")
    if item_dtype not in ITEM_DTYPES:
        raise InputError(f"--item_dtype={item_dtype} must be one of {', '.join(ITEM_DTYPES)}")
    if version is not None and version < 1:
        raise InputError(f"--version={version} must be at least 1")


def _describe(
    run: RunFolder, data: DataConfig, dataset: Split, weights: Weights, k: int, item_dtype: str, fold_in: FoldIn
) -> dict:
    """What `describe` and the model card tell, but for the name and number."""
    metrics = json.loads(run.metrics.read_text()) if run.metrics.exists() else {}
    flags = asdict(data) | asdict(read_config(run.flags, TrainConfig))
    types = {name: _id_type(ids) for name, ids in _raw_ids(dataset).items()}
    return {
        "k": min(k, weights.num_items),
        "user_id_type": types["user"],
        "item_id_type": types["item"],
        "item_dtype": item_dtype,
        "num_users": weights.num_users,
        "num_items": weights.num_items,
        "dim": len(weights.w),
        "padding": {"item_id": -1 if types["item"] == "int64" else "", "score": PADDING_SCORE},
        "fold_in": asdict(fold_in),
        "data": {"name": dataset.name} | dataset.statistics(),
        "data_fingerprint": dataset.fingerprint,
        "flags": {name: value for name, value in flags.items() if name not in _OF_THE_MACHINE},
        "metrics": {name: metrics[name] for name in ("best_epoch", "valid", "test") if name in metrics},
        "versions": {"gdns_tf": gdns_tf.__version__, "tensorflow": tf.__version__},
        "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _raw_ids(dataset: Split) -> dict[str, np.ndarray]:
    return {"user": dataset.train.user_ids, "item": dataset.train.item_ids}


def _id_type(ids: np.ndarray) -> str:
    return "int64" if ids.dtype.kind in "iu" else "string"


def _write_titles(folder: Path, seen: Interactions) -> None:
    """`id<TAB>title` lines, for clients; the server does not look at them."""
    if seen.titles is None:
        return
    path = folder / "assets.extra/titles.tsv"
    path.parent.mkdir(exist_ok=True)
    pairs = zip(seen.item_ids.tolist(), seen.titles.tolist(), strict=True)
    path.write_text("".join(f"{raw_id}\t{' '.join(title.split())}\n" for raw_id, title in pairs), encoding="utf-8")
