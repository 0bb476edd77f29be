"""Trials in this process: what workers are for is tested in `test_study_cli`, and each takes seconds to start."""

import contextlib

import pytest

from gdns_tf.studies import session
from gdns_tf.studies.pool import TRIALS_A_PROCESS
from gdns_tf.studies.trial import read_result, run_trial


@contextlib.contextmanager
def trials_run_here(expected_trials_a_process=TRIALS_A_PROCESS):
    """Within it, studies run their trials one after the other in this process; the list of all that were asked for."""
    asked = []

    def run_trials(trials, root, workers, title, trials_a_process=TRIALS_A_PROCESS):
        assert trials_a_process == expected_trials_a_process
        trials = list(dict.fromkeys(trials))
        asked.extend(trials)
        root.mkdir(parents=True, exist_ok=True)
        for trial in trials:
            run_trial(trial, root)
        return {trial: read_result(trial, root) for trial in trials}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "run_trials", run_trials)
        yield asked
