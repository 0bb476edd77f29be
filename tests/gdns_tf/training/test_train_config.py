"""Values that cannot work are refused by the name of their field, mistyped names with the nearest right one."""

from dataclasses import dataclass, fields, replace

import pytest

from gdns_tf.examples.own_scorer import HistorySum
from gdns_tf.flags import read_config, replayable
from gdns_tf.models.gmf import GMF
from gdns_tf.models.registry import SCORERS
from gdns_tf.samplers.base import Sampler, SamplerConfig
from gdns_tf.samplers.gdns import GdnsConfig
from gdns_tf.samplers.registry import SAMPLERS
from gdns_tf.samplers.softmax import SoftmaxConfig
from gdns_tf.samplers.uniform import Uniform
from gdns_tf.training.config import TrainConfig
from pipelines.config import flag
from pipelines.errors import InputError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"group_size": 0}, "`group_size`=0 must be at least 1"),
        ({"learning_rate": 0.0}, "`learning_rate`=0.0 must be above 0"),
        ({"learning_rate": float("inf")}, "`learning_rate`=inf must be a finite number"),
        ({"learning_rate": float("nan")}, "`learning_rate`=nan must be a finite number"),
        ({"learning_rate": "fast"}, "`learning_rate`='fast' must be a number"),
        ({"dim": 3.5}, "`dim`=3.5 must be a whole number"),
        ({"dim": True}, "`dim`=True must be a whole number"),
        ({"seed": -1}, "`seed`=-1 must be 0 or more"),
        ({"l2": -0.1}, "`l2`=-0.1 must be 0 or more"),
        ({"dropout": 1.0}, "`dropout`=1.0 must be below 1"),
        ({"smoothing": 1.5}, "`smoothing`=1.5 must be at most 1"),
        ({"smoothing": "much"}, "`smoothing`='much' must be a number"),
        ({"tensorboard": 1}, "`tensorboard`=1 must be True or False"),
        ({"num_candidates": 16}, "`num_candidates`=16 must be at least `group_size`=32"),
        ({"loss": "hing"}, "`loss`=hing is not known; did you mean 'hinge'"),
        ({"sampler": "gnds"}, "`sampler`=gnds is not known; did you mean 'gdns'"),
        ({"scorer": "gfm"}, "`scorer`=gfm is not known; did you mean 'gmf'"),
        ({"smothing": 0.1}, "no setting `smothing`; did you mean 'smoothing'"),
        ({"radius": 0.1}, "no setting `radius` but of `sampler`=softmax"),
        ({"sampler_config": SoftmaxConfig()}, "`sampler`=gdns takes a GdnsConfig as `sampler_config`"),
    ],
)
def test_refused(settings, message):
    with pytest.raises(InputError, match=message):
        TrainConfig.from_settings(**settings)


def test_settings_of_the_sampler_go_to_its_own_dataclass():
    config = TrainConfig.from_settings(smoothing=0.5, dim=8)
    assert config.sampler_config == GdnsConfig(smoothing=0.5)
    assert config.settings()["smoothing"] == 0.5
    assert config.settings()["dim"] == 8
    assert TrainConfig(sampler_config=GdnsConfig(smoothing=0.5), dim=8) == config


def test_another_sampler_keeps_what_it_shares_with_the_former():
    config = TrainConfig.from_settings(smoothing=0.5, epsilon=1e-3)
    assert config.with_settings(sampler="gdns_without_g").sampler_config == GdnsConfig(smoothing=0.5, epsilon=1e-3)
    irgan = TrainConfig.from_settings(sampler="irgan", temperature=3.0)
    assert irgan.with_settings(sampler="srns").sampler_config.temperature == 3.0
    assert type(irgan.with_settings(sampler="uniform").sampler_config) is SamplerConfig
    with pytest.raises(InputError, match="with_settings"):
        replace(config, sampler="uniform")


def test_only_what_makes_another_run_counts_as_a_change():
    first = TrainConfig(output_dir="a", max_epochs=5)
    assert first.changes(TrainConfig(output_dir="b", max_epochs=6, show_users=0)) == []
    assert first.changes(TrainConfig(seed=1, margin=2.0)) == ["seed", "margin"]
    assert first.changes(first.with_settings(smoothing=0.4)) == ["smoothing"]


def test_the_papers_settings_are_in_its_flagfile():
    paper = read_config("configs/ml1m_paper.flags", TrainConfig)
    assert (paper.learning_rate, paper.margin, paper.sampler_config.smoothing, paper.group_size) == (0.09, 1, 0.2, 32)
    assert (paper.batch_size, paper.dim, paper.optimizer, paper.loss) == (1024, 32, "adagrad", "hinge")
    assert paper.l2 == paper.dropout == paper.user_weight_power == paper.average_decay == 0


def test_the_best_flagfile_spells_out_the_defaults():
    best = read_config("configs/ml1m_best.flags", TrainConfig)
    assert best.changes(TrainConfig.from_settings(dim=128)) == []


@dataclass(frozen=True)
class NeedyConfig(SamplerConfig):
    appetite: float = flag(1.0, "How much it wants.")


class Needy(Uniform):
    config_class = NeedyConfig
    requires = frozenset({"telepathy"})


def test_a_registered_sampler_brings_its_settings_and_what_it_requires(monkeypatch):
    monkeypatch.setattr(SAMPLERS, "_classes", dict(SAMPLERS))
    SAMPLERS.register("needy", Needy)
    with pytest.raises(InputError, match="`sampler`=needy does not go with `scorer`=gmf, which lacks: telepathy"):
        TrainConfig.from_settings(sampler="needy")
    monkeypatch.setattr(GMF, "capabilities", GMF.capabilities | {"telepathy"})
    assert TrainConfig.from_settings(sampler="needy", appetite=2.0).sampler_config == NeedyConfig(2.0)
    with pytest.raises(InputError, match="registered already"):
        SAMPLERS.register("needy", Uniform)


def test_a_sampler_may_be_an_object():
    class Mine(Sampler):
        def select(self, batch, scorer):
            raise AssertionError

    config = TrainConfig.from_settings(sampler=Mine(), dim=4)
    assert config.sampler == "given:Mine"
    assert config.with_settings(dim=5).sampler_config is config.sampler_config
    assert config.with_settings(sampler="gdns").sampler_config == GdnsConfig()
    assert {f.name for f in fields(config)} - config.settings().keys() == {"sampler_config", "scorer_config"}


def test_every_registered_class_has_a_frozen_settings_dataclass_with_help():
    for registry in (SAMPLERS, SCORERS):
        for registered in registry.values():
            config_class = registered.config_class
            assert config_class.__dataclass_params__.frozen
            assert all(field.metadata["help"] for field in fields(config_class)), config_class


def told(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "gdns_tf"]


def test_unasked_it_is_the_multinomial_recipe_and_with_a_sampler_that_of_pairs(caplog):
    best = TrainConfig.from_settings(dim=8)
    assert (best.objective, best.scorer, best.optimizer, best.schedule) == ("multinomial", "history", "adam", "cosine")
    assert TrainConfig.from_settings(sampler="gdns") == TrainConfig()
    assert not told(caplog)


def test_a_warm_start_takes_fewer_epochs_at_a_lower_rate_unless_they_are_set(caplog):
    fresh = TrainConfig.from_settings()
    with caplog.at_level("INFO", logger="gdns_tf"):
        warm = TrainConfig.from_settings(warm_start="runs/yesterday")
    assert (3 * warm.max_epochs, 2 * warm.learning_rate) == (fresh.max_epochs, fresh.learning_rate)
    assert told(caplog) == ["A warm start takes little: `max_epochs`=10 and `learning_rate`=0.01, unless they are set."]
    longer = TrainConfig.from_settings(warm_start="runs/yesterday", max_epochs=30)
    assert longer == replace(warm, max_epochs=30)
    assert TrainConfig.from_settings(warm_start="runs/yesterday", sampler="gdns") == TrainConfig(
        warm_start="runs/yesterday"
    )


@pytest.mark.parametrize(
    ("settings", "objective", "message"),
    [
        ({"group_size": 16}, "pairs", "`group_size` is of sampled pairs: so `objective`=pairs, `sampler`=gdns"),
        ({"smoothing": 0.9}, "pairs", "`smoothing` is of sampled pairs"),
        ({"objective": "multinomial", "sampler": "gdns"}, "multinomial", "`sampler`=gdns has no effect"),
        ({"objective": "multinomial", "smoothing": 0.9}, "multinomial", "`smoothing`=0.9 has no effect"),
        ({"sampler": "uniform", "user_l2": 1.0}, "pairs", "`user_l2`=1.0 has no effect on `objective`=pairs"),
    ],
)
def test_what_a_setting_chooses_or_does_not_do_is_said(caplog, settings, objective, message):
    assert TrainConfig.from_settings(**settings).objective == objective
    (line,) = told(caplog)
    assert message in line


def test_reading_a_run_says_nothing_of_that(caplog, tmp_path):
    for config in (TrainConfig.from_settings(l2=0.5), TrainConfig.from_settings()):
        caplog.clear()
        (tmp_path / "flags.txt").write_text(replayable([config]))
        assert read_config(tmp_path / "flags.txt", TrainConfig) == config
        assert not told(caplog)
    (tmp_path / "flags.txt").write_text("--dim=8\n")  # of a version that knew no objectives
    assert read_config(tmp_path / "flags.txt", TrainConfig) == TrainConfig(dim=8)


def test_a_scorer_that_cannot_be_trained_over_the_catalogue_is_trained_on_pairs(monkeypatch):
    monkeypatch.setattr(SCORERS, "_classes", dict(SCORERS))
    SCORERS.register("history_sum", HistorySum)
    assert TrainConfig.from_settings(scorer="history_sum").objective == "pairs"
    with pytest.raises(InputError, match="`objective`=multinomial does not go with `scorer`=history_sum"):
        TrainConfig.from_settings(scorer="history_sum", objective="multinomial")
