"""What an exported model says about itself, to `describe` and on its card."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime

import tensorflow as tf

import gdns_tf
from gdns_tf.models.factors import Factors
from gdns_tf.runs import leaks
from gdns_tf.runs.loading import Trained
from gdns_tf.serving.contract import PADDING_IDS, PADDING_SCORE, id_type
from gdns_tf.serving.fold_in import FoldIn
from gdns_tf.serving.limits import Limits
from pipelines.config import DataConfig
from pipelines.split import Split

_OF_THE_MACHINE = ("data_dir", "output_dir", "export_dir", "export_anyway", "overwrite", "warm_start")
"""Settings that say nothing about the model."""
_METRICS = ("best_epoch", "valid", "test", "popularity", "sample")
REFIT_NOTE = (
    "The metrics are those of the first training. Then the model was trained once more, with the held-out items "
    "included; what is served comes from that, and cannot be measured on this data."
)


def about_training(trained: Trained, data: DataConfig) -> dict:
    """What is known of a model's training, for `describe`.

    Args:
      trained: the model.
      data: how its data was made.

    Returns:
      "flags": all settings, those of the sampler and the scorer among them; "metrics"; "refit": whether what is served
      comes from a second training.
    """
    return {
        "flags": asdict(data) | trained.config.settings(),
        "metrics": trained.metrics,
        "refit": trained.refit is not None,
    }


def describe(
    factors: Factors,
    split: Split,
    *,
    k: int,
    item_dtype: str,
    fold_in: FoldIn,
    about: Mapping[str, object],
    limits: Limits | None = None,
) -> dict:
    """What `describe` tells of a model, but for its name and its version's number.

    Args:
      factors, split, k, item_dtype, fold_in, limits: as for `ServedModel`.
      about: as from `about_training`; what is missing is not told.

    Returns:
      Values that are representable in JSON.
    """
    user_ids, item_ids = split.train.user_ids, split.train.item_ids
    flags, metrics = about.get("flags", {}), about.get("metrics", {})
    refit = bool(about.get("refit", False))
    notes = [*([REFIT_NOTE] if refit else []), *filter(None, [leaks.notice(metrics)])]
    return {
        "k": min(k, factors.num_items),
        "user_id_type": id_type(user_ids),
        "item_id_type": id_type(item_ids),
        "item_dtype": item_dtype,
        "num_users": factors.num_users,
        "num_users_by_history": split.train.num_dropped_users,
        "num_items": factors.num_items,
        "dim": factors.dim,
        "padding": {"item_id": PADDING_IDS[id_type(item_ids)], "score": PADDING_SCORE},
        "fold_in": None if factors.encoder else asdict(fold_in),
        "limits": limits and limits.told(),
        "index": None,
        "data": {"name": split.name} | split.statistics(),
        "data_fingerprint": split.fingerprint,
        "flags": {name: value for name, value in flags.items() if name not in _OF_THE_MACHINE},
        "metrics": {name: metrics[name] for name in _METRICS if name in metrics},
        "refit": refit,
        **({"note": " ".join(notes)} if notes else {}),
        "versions": {"gdns_tf": gdns_tf.__version__, "tensorflow": tf.__version__},
        "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
