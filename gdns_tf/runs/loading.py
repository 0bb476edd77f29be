"""Trained models out of the folders of their runs, or out of single files, here or in an object store."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gdns_tf.evaluation.baselines.untuned import UNTUNED, Fitted, check_untuned, fit_untuned
from gdns_tf.evaluation.ranking import check_fits
from gdns_tf.flags import read_config
from gdns_tf.models.factors import Factors
from gdns_tf.models.weights_file import Weights, load_weights
from gdns_tf.runs import leaks
from gdns_tf.runs.history import read_history
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.interactions import Interactions
from pipelines.nearest import did_you_mean
from pipelines.notices import notices
from pipelines.paths import as_path
from pipelines.readers.saved import read_interactions
from pipelines.split import Split
from pipelines.streamed import StreamedSplit, needs_all


def data_of(run_dir: str | Path) -> DataConfig:
    """How the data of a run was made. Data that the run's folder holds itself is found there, wherever it has moved.

    A folder, which may be a stranger's, does not say that code of strangers may be loaded (`tfds_community`).

    Raises:
      InputError: there is no run.
    """
    folder = RunFolder(run_dir)
    if not folder.flags.exists():
        raise InputError(f"there is no {folder.flags.name}", path=run_dir, remedy="Give the folder of a training run.")
    data = replace(read_config(folder.flags, DataConfig), tfds_community=False)
    return replace(data, data_dir=str(folder.data)) if folder.data.exists() else data


@dataclass(frozen=True)
class Trained:
    """What a finished run, or a saved model, is made of."""

    config: TrainConfig
    metrics: dict
    """Of `metrics.json`: of the first training, whether or not there was a second."""
    weights: Weights
    """Of the first training."""
    refit: Weights | None
    """Of the second training, with the held-out items, where there was one."""
    first: Factors
    """What the first training came to: what can be evaluated."""
    trained_on: Interactions
    """What the first training's weights have learnt from: the training data, and that of the runs they began from."""
    served: Factors
    """What the last training came to, for users with all that they have: what recommends."""


def load_trained(path: str | Path, split: Split) -> Trained:
    """The model in a folder, for the data that it was trained on.

    Raises:
      InputError: there is none, it is of another shape, or it was trained on other data.
    """
    folder = RunFolder(path)
    _check_same_data(folder, split)
    if not folder.weights.exists():
        raise InputError(
            f"the folder has no {folder.weights.name}",
            path=path,
            remedy="Training writes it when it ends: start it again with the same settings to go on.",
        )
    config = read_config(folder.flags, TrainConfig)
    weights = load_weights(folder.weights, config.scorer)
    metrics, refit = folder.read_metrics(), None
    if not metrics:
        told = "%s has no figures: the run was broken off at its end, or they are lost. Its own command writes them."
        notices.warning(told, folder.metrics)
    # One that trained for other epochs than those that were chosen last is of a former state of the run.
    if folder.refit.weights.exists() and folder.refit.read_metrics().get("epochs") == metrics.get("best_epoch"):
        refit = load_weights(folder.refit.weights, config.scorer)
    first = _fitting(weights.factors(split.train), split, path)
    # Scorers that know users by what they have serve them by all of it, whether or not it was trained on.
    served = _fitting((refit or weights).factors(split.all_interactions()), split, path)
    # Where nothing went before, it is the data itself.
    trained_on = read_interactions(folder.trained_on) if config.warm_start else split.train
    return Trained(config, metrics, weights, refit, first, trained_on, served)


def load_history(path: str | Path) -> dict[str, np.ndarray]:
    """The columns of the `history.csv` in a finished run's folder: see `read_history`."""
    folder = RunFolder(path)
    return read_history(folder.history, folder.read_metrics().get("validations"))


def load_model(path: str | Path, split: Split) -> Factors:
    """The model in the folder of a run, or in an `.npz` file, for a data set, to evaluate it.

    Raises:
      InputError: there is none, it is of another shape, or the run was trained on other data.
    """
    if as_path(path).is_dir():
        trained = load_trained(path, split)
        leaks.warn(trained.metrics)
        return trained.first
    return _fitting(load_weights(path).factors(split.train), split, path)


_STREAMS = "popularity"
"""The baseline that needs no more than counts."""


def check_compared(compare: str | Path) -> None:
    """Raises InputError where `load_compared` cannot work, as far as can be told without the data."""
    if str(compare) in UNTUNED:
        check_untuned(str(compare))
    elif not as_path(compare).exists():
        raise InputError(
            f"`compare`={compare}: there is no such baseline, and no such run or file{did_you_mean(compare, UNTUNED)}",
            remedy=f"Choose among {', '.join(UNTUNED)}, or give the folder of a run or an .npz file.",
        )


def load_compared(compare: str | Path, split: Split, dim: int) -> Fitted:
    """What a model is to be compared with: a baseline, fitted to the training items untuned, or another model.

    Args:
      compare: a key of `UNTUNED`, the folder of a run, or an `.npz` file.
      split: the data.
      dim: d, of baselines that learn factors.

    Raises:
      InputError: there is none, a package is missing, it would not fit into memory, the data is streamed and it is not
        popularity; or as `load_model`.
    """
    check_compared(compare)
    if str(compare) in UNTUNED:
        if str(compare) != _STREAMS and isinstance(split, StreamedSplit):
            raise needs_all(f"`compare`={compare}")
        return fit_untuned(str(compare), split.train, dim=dim)
    return Fitted(load_model(compare, split), {})


def _fitting(factors: Factors, split: Split, path: str | Path) -> Factors:
    """The factors without padding, if they are of the data's users and items, and give scores that are numbers."""
    trimmed = factors.without_padding(split.train.num_items)
    if trimmed is not factors:
        notices.warning("%s: left out %d row(s) of zeros.", path, factors.num_items - trimmed.num_items)
    try:
        check_fits(trimmed, split)
    except InputError as error:
        raise InputError(str(error).removesuffix("."), path=path) from None
    if fault := trimmed.fault():
        raise InputError(fault, path=path, remedy="The training diverged: train again with a lower `learning_rate`.")
    return trimmed


def _check_same_data(folder: RunFolder, split: Split) -> None:
    """Raises InputError if the run says that it was trained on other data; a run that has not ended says nothing."""
    fingerprint = folder.read_metrics().get("data_fingerprint")
    if fingerprint not in (None, split.fingerprint):
        raise InputError(
            f"the run was trained on data with fingerprint {fingerprint}, but this data has {split.fingerprint}",
            path=folder.path,
            remedy="Give the data settings of the run, and the same files.",
        )
