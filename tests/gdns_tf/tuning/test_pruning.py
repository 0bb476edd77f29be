"""Median stopping among peers, against medians by hand."""

import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState, create_trial

from gdns_tf.tuning.budget import Budget
from gdns_tf.tuning.pruning import MedianOfPeers

MODELS = CategoricalDistribution(("a", "b"))


def study_of(*trials):
    study = optuna.create_study(direction="maximize", pruner=MedianOfPeers(min_peers=3))
    for model, values, state in trials:
        study.add_trial(
            create_trial(
                params={"model": model},
                distributions={"model": MODELS},
                intermediate_values=dict(zip((5, 10, 15), values, strict=False)),
                value=max(values),
                state=state,
            )
        )
    return study


def is_pruned(study, model, values):
    study.enqueue_trial({"model": model})
    trial = study.ask()
    trial.suggest_categorical("model", ("a", "b"))
    for epoch, value in zip((5, 10, 15), values, strict=False):
        trial.report(value, epoch)
    return trial.should_prune()


DONE, PRUNED = TrialState.COMPLETE, TrialState.PRUNED
PEERS = [("a", (0.1, 0.3), DONE), ("a", (0.2, 0.2), DONE), ("a", (0.3, 0.1), DONE)]


@pytest.mark.parametrize(
    ("values", "pruned"),
    [
        ((0.19,), True),  # the median of .1, .2 and .3 at epoch 5
        ((0.2,), False),
        ((0.29, 0.29), True),  # by epoch 10 the best are .3, .2 and .3
        ((0.31, 0.0), False),  # its best counts, not its last
    ],
)
def test_below_the_median_at_the_same_epoch(values, pruned):
    assert is_pruned(study_of(*PEERS), "a", values) is pruned


def test_other_models_are_no_peers():
    assert not is_pruned(study_of(*PEERS), "b", (0.0,))


def test_too_few_peers_prune_nothing():
    assert not is_pruned(study_of(*PEERS[:2]), "a", (0.0,))


def test_a_peer_that_was_pruned_before_does_not_count_and_one_that_ended_by_itself_does():
    assert not is_pruned(study_of(*PEERS[:2], ("a", (0.3,), PRUNED)), "a", (0.2, 0.0))
    assert is_pruned(study_of(*PEERS[:2], ("a", (0.4,), DONE)), "a", (0.2, 0.0))


def test_without_a_validation_nothing_is_pruned():
    assert not is_pruned(study_of(*PEERS), "a", ())


def test_the_budget_counts_what_went_before():
    now = [100.0]
    budget = Budget(minutes=1, spent=50, clock=lambda: now[0])
    assert (budget.spent, budget.is_over) == (50, False)
    now[0] += 10
    assert (budget.spent, budget.is_over) == (60, True)
