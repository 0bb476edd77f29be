"""What samplers bring to a run, and how a run begins with uniform negatives."""

import logging
from types import MappingProxyType

import numpy as np
import pytest
from absl import flags as absl_flags
from toy import toy_interactions

from gdns_tf import flags
from gdns_tf.command import exit_code
from gdns_tf.runs.callbacks import Callback
from gdns_tf.runs.repeating import as_call
from gdns_tf.runs.train import train
from gdns_tf.samplers.base import Sampler
from gdns_tf.samplers.registry import SAMPLERS
from gdns_tf.studies.config import StudyConfig
from gdns_tf.studies.grid import run as run_grid
from gdns_tf.studies.session import Session
from gdns_tf.training.build import build_batches, build_trainer
from gdns_tf.training.config import TrainConfig
from gdns_tf.tuning.space import Space
from pipelines.config import DataConfig
from pipelines.load import load_dataset

TRAIN = toy_interactions(num_items=60)
SMALL = {"group_size": 3, "num_candidates": 7, "dim": 4, "batch_size": 13, "init_scale": 0.5}


def of_command_line(*arguments):
    values = absl_flags.FlagValues()
    for config_class in (TrainConfig, DataConfig):
        flags.define(config_class, values)
    values(["train", *arguments])
    return flags.from_flags(TrainConfig, flag_values=values)


class Picky(Sampler):
    defaults = MappingProxyType({"uniform_epochs": 2, "num_candidates": 9, "l2": 0.1})

    def select(self, batch, scorer):
        raise AssertionError


def test_a_sampler_brings_what_is_not_set_and_that_is_said(caplog):
    caplog.set_level(logging.INFO, "gdns_tf")
    assert TrainConfig.from_settings(sampler="dns").uniform_epochs > 0
    assert [r.getMessage() for r in caplog.records] == ["`sampler`=dns brings `uniform_epochs`=5, as it is not set."]
    caplog.clear()
    assert TrainConfig.from_settings(sampler="dns", uniform_epochs=0).uniform_epochs == 0
    assert TrainConfig.from_settings(sampler="uniform") == TrainConfig(sampler="uniform")
    assert TrainConfig.from_settings().uniform_epochs == 0
    assert not caplog.records


def test_what_is_brought_need_not_go_with_the_recipe_nor_with_every_objective():
    config = TrainConfig.from_settings(sampler=Picky(), group_size=8)
    assert (config.num_candidates, config.l2, config.uniform_epochs) == (9, 0.1, 2)
    softmax = TrainConfig.from_settings(sampler=Picky(), group_size=8, objective="sampled_softmax")
    assert (softmax.num_candidates, softmax.l2, softmax.uniform_epochs) == (9, TrainConfig.l2, 2)
    assert TrainConfig.from_settings(objective="multinomial", sampler="dns") == TrainConfig.from_settings(
        objective="multinomial"
    ).with_settings(sampler="dns")


def test_with_settings_brings_and_takes_nothing():
    dns = TrainConfig.from_settings(sampler="dns")
    assert TrainConfig().with_settings(sampler="dns").uniform_epochs == 0
    assert dns.with_settings(sampler="uniform").uniform_epochs == dns.uniform_epochs


def test_on_the_command_line_and_in_flags_txt(tmp_path, capsys):
    brought = TrainConfig.from_settings(sampler="srns")
    assert of_command_line("--sampler=srns") == brought
    assert of_command_line("--sampler=srns", "--uniform_epochs=0").uniform_epochs == 0
    (tmp_path / "own.flags").write_text("--uniform_epochs=3\n--sampler=gdns\n")
    assert of_command_line(f"--flagfile={tmp_path / 'own.flags'}", "--sampler=srns").uniform_epochs == 3
    (tmp_path / "flags.txt").write_text(flags.replayable([brought]))
    assert flags.read_config(tmp_path / "flags.txt", TrainConfig) == brought
    (tmp_path / "flags.txt").write_text("--objective=pairs\n--sampler=dns\n")  # of a version that knew no defaults
    assert flags.read_config(tmp_path / "flags.txt", TrainConfig).uniform_epochs == 0
    assert exit_code(lambda read: None, "Trains.", [TrainConfig], ["train", "--helpfull"]) == 0
    full = capsys.readouterr().out
    for name in ("dns", "srns"):  # one without settings of its own, and one with
        start = full.index(f"sampler {name}:")
        assert "  brings --uniform_epochs=5, unless told" in full[start:].split("\n\n")[0]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_flagfiles_leave_to_a_sampler_what_it_brings(sampler):
    ml1m = of_command_line("--flagfile=configs/ml1m.flags", f"--sampler={sampler}")
    assert not ml1m.changes(TrainConfig.from_settings(sampler=sampler))
    quick = of_command_line("--flagfile=configs/quickstart.flags", f"--sampler={sampler}")
    assert quick.uniform_epochs == ml1m.uniform_epochs
    build_trainer(TRAIN, quick)  # nor does anything of the file keep it from being built


def test_in_a_search_each_sampler_brings_its_own():
    class Choosing:
        """A trial of Optuna's that has the given sampler, and the default of all else."""

        def __init__(self, sampler):
            self.sampler = sampler

        def suggest_categorical(self, name, values):
            return self.sampler if name.endswith(".sampler") else values[0]

        def suggest_float(self, name, low, high, log):
            return low

    for settings, expected in (({}, 5), ({"uniform_epochs": 0}, 0)):
        space = Space({"objective": "pairs", **settings}, {"sampler": ("dns", "uniform")})
        assert space.suggest(Choosing("dns")).uniform_epochs == expected
        assert space.suggest(Choosing("uniform")).uniform_epochs == 0


def test_the_call_that_repeats_a_run_trains_the_same():
    for changes in ({"uniform_epochs": 0}, {"l2": 0.1}, {}):
        config = TrainConfig.from_settings(sampler="dns", **changes)
        keywords = eval(as_call(config).replace("gdns_tf.fit(data, ", "dict("))
        assert not TrainConfig.from_settings(**keywords).changes(config), keywords


@pytest.mark.parametrize("given", [{}, {"uniform_epochs": 1}])
def test_in_a_grid_a_sampler_brings_what_it_would_alone(given, tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setattr("gdns_tf.studies.grid.run_arms", lambda session, arms, title: seen.update(arms=arms))
    monkeypatch.setattr("gdns_tf.studies.grid.report", lambda session, results: "")
    vary = ("sampler=dns|uniform", "l2=0.1|0.2")
    study = StudyConfig(study="grid", study_dir=str(tmp_path), vary=vary)
    base = TrainConfig.from_settings(sampler="srns", **given)
    run_grid(Session(DataConfig(), base, study, given.keys()))
    epochs = {arm.title: base.with_settings(**arm.overrides).uniform_epochs for arm in seen["arms"]}
    expected = {"dns": 1, "uniform": 1} if given else {"dns": 5, "uniform": 0}
    assert epochs == {f"sampler={s} l2={l2}": expected[s] for s in ("dns", "uniform") for l2 in ("0.1", "0.2")}


@pytest.mark.parametrize("objective", ["pairs", "sampled_softmax"])
def test_a_run_begins_as_one_with_uniform_negatives(objective):
    """To the bit, and then the sampler chooses, as if the run had just begun for it."""
    settings = {"objective": objective, "scorer": "gmf", "uniform_epochs": 2, **SMALL}
    config = TrainConfig.from_settings(sampler="srns", **settings)
    srns = build_trainer(TRAIN, config)
    plain = build_trainer(TRAIN, TrainConfig.from_settings(sampler="uniform", **(settings | {"uniform_epochs": 0})))
    for step, data in enumerate(build_batches(TRAIN, config).take(3)):  # a step is an epoch
        before = [v.numpy() for v in srns.sampler.variables]
        for trainer in (srns, plain):
            assert np.isfinite(trainer.train_step(data)["loss"])
        alike = all(map(np.array_equal, *([v.numpy() for v in t.trainable_variables] for t in (srns, plain))))
        rests = all(map(np.array_equal, before, [v.numpy() for v in srns.sampler.variables]))
        assert (alike, rests) == ((True, True) if step < 2 else (False, False))
        assert int(srns.batch(data).step) == step - 2


class Stop(Callback):
    def on_start(self, run):
        raise InterruptedError


@pytest.mark.parametrize("max_epochs", [5, 6])
def test_a_run_that_ends_before_its_sampler_chooses_says_so(max_epochs, tmp_path, caplog):
    data = DataConfig(planted_users=60, planted_items=140)
    run = {"max_epochs": max_epochs, "output_dir": str(tmp_path / "run"), "tensorboard": False}
    with pytest.raises(InterruptedError):
        train(load_dataset(data), data, TrainConfig.from_settings(sampler="dns", **run, **SMALL), [Stop()])
    told = "`uniform_epochs`=5 of `max_epochs`=5 leave none in which `sampler`=dns chooses the negatives."
    assert caplog.messages == ([told] if max_epochs == 5 else [])
