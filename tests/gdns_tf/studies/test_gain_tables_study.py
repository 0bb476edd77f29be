"""The study of gain tables: which tables are trained, and what it says of their sizes and of what they forget."""

import re

import pytest
from here import trials_run_here

from gdns_tf.studies.config import StudyConfig
from gdns_tf.studies.held_pairs import read_held_pairs
from gdns_tf.studies.session import Session
from gdns_tf.study import study
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.errors import InputError

USERS, ITEMS = 40, 150
DATA = DataConfig(dataset="planted", planted_users=USERS, planted_items=ITEMS)
RECIPE = TrainConfig(group_size=8, num_candidates=16, batch_size=20, dim=4, max_epochs=3, eval_every=1)


def session(folder, **config):
    return Session(
        DATA, RECIPE, StudyConfig(study="gain_tables", study_dir=str(folder / "study"), seeds=(0,), **config)
    )


def test_what_is_trained_and_told(tmp_path):
    with trials_run_here() as trials:
        study(session(tmp_path, values=("1/2", "1/15")))
    held = {
        (of.gain_table, of.gain_slots, of.gain_cells): read_held_pairs(trial.folder(tmp_path / "trials"))
        for trial in trials
        for of in [trial.config.sampler_config]
    }
    exact, bounded = held["dense", 0, "float32"], held["bounded", 10, "float32"]
    assert held.keys() == {("dense", 0, cells) for cells in ("float32", "float16", "bfloat16")} | {
        ("bounded", slots, "float32") for slots in (75, 10)
    }
    assert USERS * 8 < exact <= USERS * 8 * 3  # eight negatives a user and step, some of them again
    assert USERS * 5 < bounded <= USERS * 10
    report = (tmp_path / "study/report.md").read_text()
    rows = {row[0]: row[1:] for row in re.findall(r"^\| (\S+, \w+) \| (\S+) \|.*\| (\S+) \| \d+ \|$", report, re.M)}
    assert rows["all, float32"] == ("0", "0.0%")
    assert rows["1/15, float32"][1] == f"{1 - bounded / exact:.1%}"


@pytest.mark.parametrize("share", ["2", "0", "1/0", "half"])
def test_what_is_no_share_is_refused(share, tmp_path):
    with pytest.raises(InputError, match=rf"`values`={share} must be a fraction of the items"):
        study(session(tmp_path, values=(share,)))
