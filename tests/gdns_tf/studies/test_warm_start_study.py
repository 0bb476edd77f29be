"""The study of warm starts: what yesterday's data is, and that one command trains and compares."""

from dataclasses import replace

import numpy as np
import pytest
from toy import toy_interactions

from gdns_tf.command import exit_code
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.studies import warm_start
from gdns_tf.studies.warm_start import WarmStartStudyConfig, arms, cut, in_order
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.split import leave_one_out

CONFIGS = [WarmStartStudyConfig, TrainConfig, DataConfig]


def pairs(train):
    return set(zip(train.user_ids[train.users].tolist(), train.item_ids[train.items].tolist(), strict=True))


def held_out(split, name):
    users, items = getattr(split, name).pairs
    return dict(zip(split.train.user_ids[users].tolist(), split.train.item_ids[items].tolist(), strict=True))


def split_of(with_times):
    interactions = toy_interactions(num_users=20, num_items=300, fewest=20)
    times = np.random.default_rng(1).permutation(interactions.num_interactions).astype(float)
    return leave_one_out("toy", replace(interactions, timestamps=times if with_times else None), 0)


@pytest.mark.parametrize("with_times", [True, False])
def test_yesterday_is_what_came_first_and_knows_none_of_what_is_held_out_today(with_times):
    today = split_of(with_times)
    ratings, names = in_order(today), ("valid", "test")
    whole, yesterday = cut(ratings, 1.0, 3, 0), cut(ratings, 0.8, 3, 0)
    assert pairs(whole.train) == pairs(today.train)  # all of it, cut anew: the very split
    assert [held_out(whole, name) for name in names] == [held_out(today, name) for name in names]
    known = pairs(yesterday.train).union(*(held_out(yesterday, name).items() for name in names))
    assert len(known) == pytest.approx(0.8 * len(ratings.users), abs=1)
    when = dict(zip(zip(ratings.users.tolist(), ratings.items.tolist(), strict=True), ratings.timestamps, strict=True))
    assert max(when[pair] for pair in known) < min(when[pair] for pair in when.keys() - known)
    for name in ("valid", "test"):
        assert not pairs(yesterday.train) & set(held_out(today, name).items())


def test_arms_are_fresh_and_warm_with_all_epochs_and_with_fewer():
    config = TrainConfig.from_settings(max_epochs=30, learning_rate=0.02)
    labels = [arm.label for arm in arms(config, WarmStartStudyConfig(epoch_shares=(0.34,), rate_shares=(1.0, 0.5)))]
    assert labels == [
        "afresh, 30 epochs, rate 0.02",
        "afresh, 10 epochs, rate 0.02",
        *(f"warm, {epochs} epochs, rate {rate}" for epochs in (30, 10) for rate in (0.02, 0.01)),
    ]


@pytest.mark.parametrize("wrong", [{"first_share": 1.0}, {"nights": 0}, {"seeds": ()}, {"rate_shares": (0.0,)}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        WarmStartStudyConfig(**wrong)


def test_one_command_trains_night_after_night_and_prints_the_tables(tmp_path, capsys):
    flags = ["--planted_users=40", "--planted_items=250", "--max_epochs=1", "--dim=4"]
    flags += ["--nights=2", "--first_share=0.8", "--seeds=0", "--epoch_shares=1"]

    def command(*more):
        return exit_code(warm_start.main, warm_start.__doc__, CONFIGS, ["warm_start", *flags, *more])

    assert command(f"--output_dir={tmp_path}/runs") == 0
    out = capsys.readouterr().out
    made = sorted(path.name for path in (tmp_path / "runs/seed0").iterdir())
    assert made == ["afresh-1-0.02-2", "first", "warm-1-0.02-1", "warm-1-0.02-2"]
    began = RunFolder(tmp_path / "runs/seed0/warm-1-0.02-2").read_metrics()["warm_start"]
    assert began["run"] == str(tmp_path / "runs/seed0/warm-1-0.02-1")
    assert began["leaked"] == {"valid": 0, "test": 0}
    test = RunFolder(tmp_path / "runs/seed0/warm-1-0.02-2").read_metrics()["test"]
    table = out[out.index("ndcg@3 test") :].splitlines()
    assert table[2].split()[:6] == ["warm,", "1", "epochs,", "rate", "0.02", f"{test['ndcg@3']:.4f}"]
    assert command() == 1
    assert command(f"--output_dir={tmp_path}/other", "--warm_start=somewhere") == 1
