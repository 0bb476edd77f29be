"""What an exported model says about itself, to `describe` and on its card."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import tensorflow as tf

import gdns_tf
from gdns_tf.flags import read_config
from gdns_tf.models.factors import Factors
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.serving.contract import PADDING_IDS, PADDING_SCORE, id_type
from gdns_tf.serving.fold_in import FoldIn
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.split import Split

_OF_THE_MACHINE = ("data_dir", "output_dir", "export_dir", "overwrite")
"""Settings that say nothing about the model."""
_METRICS = ("best_epoch", "valid", "test")
REFIT_NOTE = (
    "The metrics are those of the first training. Then the model was trained once more, with the held-out items "
    "included; what is served comes from that, and cannot be measured on this data."
)


def about_run(run_dir: str | Path, data: DataConfig) -> dict:
    """What the folder of a finished run tells of its model, for `describe`.

    Args:
      run_dir: the folder.
      data: how the run's data was made.

    Returns:
      "flags": all settings, those of the sampler and the scorer among them; "metrics"; "refit": whether there are the
      weights of a second training.

    Raises:
      InputError: a file in the folder is not what training writes.
    """
    run = RunFolder(run_dir)
    return {
        "flags": asdict(data) | read_config(run.flags, TrainConfig).settings(),
        "metrics": run.read_metrics(),
        "refit": run.refit.weights.exists(),
    }


def describe(
    factors: Factors, split: Split, *, k: int, item_dtype: str, fold_in: FoldIn, about: Mapping[str, object]
) -> dict:
    """What `describe` tells of a model, but for its name and its version's number.

    Args:
      factors, split, k, item_dtype, fold_in: as for `ServedModel`.
      about: as from `about_run`; what is missing is not told.

    Returns:
      Values that are representable in JSON.
    """
    user_ids, item_ids = split.train.user_ids, split.train.item_ids
    flags, metrics = about.get("flags", {}), about.get("metrics", {})
    refit = bool(about.get("refit", False))
    return {
        "k": min(k, factors.num_items),
        "user_id_type": id_type(user_ids),
        "item_id_type": id_type(item_ids),
        "item_dtype": item_dtype,
        "num_users": factors.num_users,
        "num_items": factors.num_items,
        "dim": factors.dim,
        "padding": {"item_id": PADDING_IDS[id_type(item_ids)], "score": PADDING_SCORE},
        "fold_in": asdict(fold_in),
        "data": {"name": split.name} | split.statistics(),
        "data_fingerprint": split.fingerprint,
        "flags": {name: value for name, value in flags.items() if name not in _OF_THE_MACHINE},
        "metrics": {name: metrics[name] for name in _METRICS if name in metrics},
        "refit": refit,
        **({"note": REFIT_NOTE} if refit else {}),
        "versions": {"gdns_tf": gdns_tf.__version__, "tensorflow": tf.__version__},
        "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
