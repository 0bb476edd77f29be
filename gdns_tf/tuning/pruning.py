"""Which trials are not worth finishing."""

import statistics

from optuna import Study
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial, TrialState

from gdns_tf.tuning.space import MODEL


class MedianOfPeers(BasePruner):
    """Prunes a trial whose best validation so far is below the median of what its peers had by the same epoch.

    The median stopping rule (Golovin et al., KDD 2017, Google Vizier), among peers: trials of the same scorer and
    objective, and as many epochs to go. How fast validation rises says nothing across objectives; and under a schedule
    that brings the rate down, an early validation can be held only against one of the same epoch of the same schedule.
    """

    def __init__(self, min_peers: int = 4) -> None:
        """Args:
        min_peers: trials that must have come so far before one is pruned.
        """
        self._min_peers = min_peers

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        epoch = trial.last_step
        if epoch is None:
            return False
        trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        peers = [other for other in trials if _kind(other) == _kind(trial) and _came_to(other, epoch)]
        if len(peers) < self._min_peers:
            return False
        return _best_by(trial, epoch) < statistics.median(_best_by(other, epoch) for other in peers)


def _kind(trial: FrozenTrial) -> tuple:
    model = trial.params.get(MODEL)
    return model, *(trial.params.get(f"{model}.{name}") for name in ("max_epochs", "schedule", "eval_every"))


def _came_to(trial: FrozenTrial, epoch: int) -> bool:
    """Whether it had an epoch, or ended by itself before."""
    return trial.state == TrialState.COMPLETE or (trial.last_step or 0) >= epoch


def _best_by(trial: FrozenTrial, epoch: int) -> float:
    return max((value for at, value in trial.intermediate_values.items() if at <= epoch), default=0.0)
