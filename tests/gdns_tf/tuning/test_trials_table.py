"""What is read out of a study, on one whose trials were made by hand."""

import optuna
import pytest
from optuna.trial import TrialState

from gdns_tf.tuning.space import Space
from gdns_tf.tuning.table import best_quarter, importances, rows_of

MODEL = "history-multinomial"


@pytest.fixture(scope="module")
def space():
    return Space({"objective": "multinomial", "scorer": "history"}, {})


def made(space, count):
    """Trials whose validation is better the nearer the dropout to 0, and depends on nothing else."""
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.enqueue_trial(next(space.defaults()))
    for number in range(count):
        trial = study.ask()
        value = 0.5 - space.suggest(trial).dropout
        trial.report(value - 0.1, 5)
        if number % 3 == 2:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            trial.report(value, 10)
            trial.set_user_attr("epochs", 10)
            study.tell(trial, value)
    return study


def test_rows_say_what_was_tried(space):
    study = made(space, 6)
    rows = rows_of(study, space)
    assert [row.number for row in rows] == list(range(6))
    assert [row.is_default for row in rows] == [True, *[False] * 5]
    assert [row.is_complete for row in rows] == [True, True, False] * 2
    for row in rows:
        assert row.value == pytest.approx(0.5 - row.config.dropout - 0.1 * (not row.is_complete), abs=1e-6)
        assert row.epochs == (10 if row.is_complete else 5)
        assert row.settings == {name: row.config.settings()[name] for name in space.models[MODEL].ranges}


def test_what_mattered_is_what_the_validation_depends_on(space):
    found = importances(made(space, 60), space, MODEL)
    assert sum(found.values()) == pytest.approx(1)
    assert max(found, key=found.get) == "dropout"
    assert found["dropout"] > 0.5


def test_too_few_trials_say_nothing(space):
    assert importances(made(space, 9), space, MODEL) == {}


def test_the_best_quarter_is_the_best_first(space):
    rows = rows_of(made(space, 20), space)
    values = sorted((row.value for row in rows), reverse=True)
    assert [row.value for row in best_quarter(rows)] == values[:5]
    assert [row.number for row in best_quarter(rows[:1])] == [0]
