"""A run that begins from a former run's weights, as tonight's from last night's: rows go by raw user and item ids.

What is taken are the weights of the former run's first training, and they alone. The optimiser's state, the sampler's
tables (H and G among them), the moving average and the learning rate's schedule begin anew. The former run's second
training (`refit`) has learnt from held-out items, some of which may be held out today, and is never begun from.

The weights that a run begins from, matched to its own users and items, are kept in its folder (`start.npz`). From its
first checkpoint on, which comes before its first epoch, the former run is not needed any more.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from gdns_tf.flags import read_config
from gdns_tf.models.scorer import Scorer
from gdns_tf.models.weights_file import load_weights
from gdns_tf.runs import leaks
from gdns_tf.runs.loading import Trained, data_of
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.runs.start import Start
from gdns_tf.training.config import MODEL, TrainConfig
from pipelines.errors import InputError
from pipelines.id_match import IdMatch, match_ids, of_other_types
from pipelines.interactions import Interactions
from pipelines.load import load_dataset
from pipelines.notices import notices
from pipelines.raw_ids import is_text
from pipelines.readers.saved import read_interactions
from pipelines.split import Split

FEW = 0.5
"""Share of the shorter list of ids. If less of it is in the other, it may be the wrong data, which is said."""
_AXES = {"num_users": "users", "num_items": "items"}
"""Axis of an array -> whose rows it has."""


@dataclass(frozen=True)
class Former:
    """What a run begins from: a finished run, or a model."""

    name: str
    """The setting `warm_start`: where the run is, or which model it is."""
    scorer: str
    """A key of SCORERS."""
    arrays: Mapping[str, np.ndarray] = field(repr=False)
    """The weights of the first training."""
    trained_on: Interactions
    """Its users and items, in the order of the weights' rows, and all that the weights have learnt from."""

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change with any weight."""
        digest = hashlib.sha256()
        for name in sorted(self.arrays):
            digest.update(f"{name}{self.arrays[name].shape}".encode())
            digest.update(np.ascontiguousarray(self.arrays[name]))
        return digest.hexdigest()[:16]


def former_model(trained: Trained) -> Former:
    """A model in memory, which goes by its fingerprint."""
    former = Former("", trained.weights.scorer, trained.weights.arrays, trained.trained_on)
    return Former(MODEL + former.fingerprint, former.scorer, former.arrays, former.trained_on)


def former_run(path: str) -> Former:
    """The run in a folder, on this machine or in an object store.

    Raises:
      InputError: as `check_finished`; or it is damaged, or its ids are not known any more.
    """
    check_finished(path)
    folder = RunFolder(path)
    weights = load_weights(folder.weights, read_config(folder.flags, TrainConfig).scorer)
    if folder.trained_on.exists():
        trained_on = read_interactions(folder.trained_on)
    else:  # a run by a version of this package that kept no ids
        split = load_dataset(data_of(path))
        if split.fingerprint != folder.read_metrics().get("data_fingerprint"):
            raise InputError(
                "the ids of the run's users and items are not known any more: its data has changed since",
                path=path,
                remedy="Put the data back that it was trained on, or train once without `warm_start`.",
            )
        trained_on = split.train
    return Former(path, weights.scorer, weights.arrays, trained_on)


def check_finished(path: str) -> None:
    """Raises InputError where there is no finished run to begin from."""
    if path.startswith(MODEL):
        raise InputError(
            f"`warm_start`={path} was a model in memory, and it is not here",
            remedy="Give `fit` the model again; or save it (Model.save), and give the folder.",
        )
    folder = RunFolder(path)
    if not folder.flags.exists():
        raise InputError(
            "there is no run to begin from",
            path=path,
            remedy="Give `warm_start` the folder of a finished run or of a saved model, or leave it out.",
        )
    metrics = folder.read_metrics()
    if not metrics or not folder.weights.exists():
        raise InputError(
            "the run to begin from has not ended",
            path=path,
            remedy="Its own command goes on with it; or give `warm_start` another run, or leave it out.",
        )
    if "best_epoch" not in metrics:
        raise InputError(
            "this is a run's second training, which has learnt from held-out items: all figures would be too good",
            path=path,
            remedy="Give `warm_start` the run, which is the folder above.",
        )


def begin(former: Former, split: Split, config: TrainConfig, scorer: Scorer) -> tuple[Start, Interactions]:
    """Gives a new scorer the weights of a former run.

    Args:
      former: the run, or the model.
      split: the data of now.
      config: the settings of now.
      scorer: as it is drawn for them; its variables are changed.

    Returns:
      What it begins with; and all that its weights will have learnt from, the former run's data among it.

    Raises:
      InputError: the weights are those of another scorer or of other sizes, or no user or no item is the same.
    """
    _require_same(former, "scorer", former.scorer, config.scorer)
    ids = {
        "num_users": (former.trained_on.user_ids, split.train.user_ids),
        "num_items": (former.trained_on.item_ids, split.train.item_ids),
    }
    matches, needed = {axis: match_ids(*both) for axis, both in ids.items()}, set().union(*scorer.parameters.values())
    for axis, match in matches.items():
        _check_overlap(former, _AXES[axis], match, *ids[axis], is_needed=axis in needed)
    fresh = scorer.arrays()
    arrays = {name: _carried_over(former, name, axes, fresh[name], matches) for name, axes in scorer.parameters.items()}
    scorer.assign(arrays)
    counts = {_AXES[axis]: {"taken": m.taken, "new": m.new, "gone": m.gone} for axis, m in matches.items()}
    told = {name: ", ".join(f"{number:,} {what}" for what, number in each.items()) for name, each in counts.items()}
    notices.info("Beginning from %s: users %s; items %s", former.name, told["users"], told["items"])
    trained_on = leaks.joined(former.trained_on, *matches.values(), split.train)
    leaked = leaks.count(trained_on, split)
    return Start(arrays, {"run": former.name, "weights": former.fingerprint, **counts, "leaked": leaked}), trained_on


def _require_same(former: Former, name: str, theirs: object, ours: object) -> None:
    if theirs != ours:
        raise InputError(
            f"`{name}`={ours}, but the run to begin from has {theirs}",
            path=former.name,
            remedy=f"Set `{name}`={theirs}, or train without `warm_start`.",
        )


def _check_overlap(
    former: Former, kind: str, match: IdMatch, theirs: np.ndarray, ours: np.ndarray, *, is_needed: bool
) -> None:
    """Raises InputError where no id is the same and weights go by them; gives notice of what looks wrong."""
    if of_other_types(theirs, ours):
        text, number = ("there", "here") if is_text(theirs) else ("here", "there")
        notices.warning("Ids of %s are text %s and integers %s: they are matched as text.", kind, text, number)
    if not match.taken and is_needed:
        raise InputError(
            f"the run to begin from has none of the {match.num_now:,} {kind} (it has such as {theirs[0]!s}, the data "
            f"such as {ours[0]!s})",
            path=former.name,
            remedy="Check that both are of the same data and write ids alike, or train without `warm_start`.",
        )
    if match.taken < FEW * min(match.num_former, match.num_now):
        notices.warning(
            "Only %s of the %s %s are among the %s of %s: is it of the same data?",
            *(f"{match.taken:,}", f"{match.num_now:,}", kind, f"{match.num_former:,}", former.name),
        )


def _carried_over(
    former: Former, name: str, axes: tuple[str, ...], fresh: np.ndarray, matches: Mapping[str, IdMatch]
) -> np.ndarray:
    """An array of a scorer, with the former run's values wherever it has all that they go by."""
    array, there, here = former.arrays[name], [], []
    for axis, theirs, ours in zip(axes, array.shape, fresh.shape, strict=True):
        if axis in matches:
            if theirs != matches[axis].num_former:
                problem = f"{name} has {theirs:,} rows for {matches[axis].num_former:,} {_AXES[axis]}"
                raise InputError(problem, path=former.name, remedy="The run is damaged: begin from another.")
            there.append(matches[axis].former)
            here.append(matches[axis].now)
        else:
            _require_same(former, "dim" if axis == "d" else axis, theirs, ours)
            there.append(np.arange(theirs))
            here.append(np.arange(ours))
    carried = np.array(fresh)
    carried[np.ix_(*here)] = array[np.ix_(*there)]
    return carried
