"""The estimate of what a run takes is beside what its variables take, and from below; too much is refused unbuilt."""

import numpy as np
import pytest

from gdns_tf.models.registry import SCORERS
from gdns_tf.samplers.nncf import Nncf
from gdns_tf.samplers.registry import SAMPLERS
from gdns_tf.training import memory
from gdns_tf.training.build import build_trainer
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.interactions import Interactions
from pipelines.load import load_dataset

TRAIN = load_dataset(DataConfig(dataset="planted", planted_users=40, planted_items=140)).train


def size_of(variables):
    return sum(variable.shape.num_elements() * variable.dtype.size for variable in variables)


@pytest.mark.parametrize("optimizer", ["adagrad", "adam", "sgd"])
@pytest.mark.parametrize(
    "settings", [*({"scorer": name} for name in SCORERS), {"scorer": "history", "history_tied": True}], ids=str
)
def test_weights_and_what_the_optimiser_keeps_of_them(settings, optimizer):
    config = TrainConfig.from_settings(**settings, optimizer=optimizer, dim=6)
    trainer = build_trainer(TRAIN, config)
    weights = size_of(trainer.scorer.trainable_variables)
    of_optimizer = size_of(v for v in trainer.optimizer.variables if v.shape.rank == 2)
    held = memory.parts(config, config.setup(TRAIN))["weights"]
    assert held == pytest.approx(3 * weights + of_optimizer, rel=0.02)  # as they are, averaged, and the best


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_what_samplers_hold(name):
    config = TrainConfig.from_settings(sampler=name, dim=6, group_size=4, num_candidates=8)
    sampler = build_trainer(TRAIN, config).sampler
    held, actual = memory.parts(config, config.setup(TRAIN))["sampler"], size_of(sampler.variables)
    assert held <= actual
    if name.startswith(("gdns", "srns")):  # which hold most: something of every user and item
        assert held > 0.9 * actual


@pytest.mark.parametrize("slots", [0, 7, 140])
def test_a_gain_table_takes_what_it_says(slots):
    config = TrainConfig.from_settings(sampler="gdns", gain_slots=slots, dim=2)
    sampler = build_trainer(TRAIN, config).sampler
    assert memory.parts(config, config.setup(TRAIN))["sampler"] == size_of(sampler.variables)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dim": 65536}, r"40 users and 140 items \(weights .*\) would take about .* GiB .*Lower `dim`"),
        ({"sampler": "uniform", "group_size": 65536, "num_candidates": 65536}, "a step .*Lower .*`group_size`"),
        ({"sampler": "gdns", "num_candidates": 2**20}, "a step .*Lower .*`num_candidates`"),
        ({"sampler": "srns", "memory_size": 2**20}, "Lower .*`num_candidates`|`memory_size`"),
    ],
)
def test_what_would_not_fit_is_refused_before_anything_is_built(settings, message, monkeypatch):
    monkeypatch.setattr("pipelines.memory.available_memory", lambda: 2.0**26)
    config = TrainConfig.from_settings(**settings)
    for registry in (SCORERS, SAMPLERS):
        for each in registry.values():
            for make in ("create", "build"):
                monkeypatch.setattr(each, make, None, raising=False)
    with pytest.raises(InputError, match=message):
        build_trainer(TRAIN, config)


def test_a_power_of_popularity_by_which_the_weights_are_no_numbers():
    """Of one item that 2,000 users have."""
    popular = Interactions(np.arange(2001), np.zeros(2000, np.int32), np.arange(2000), np.arange(3))
    config = TrainConfig.from_settings(sampler="nncf", popularity_power=90.0)
    assert np.isfinite(Nncf.item_weights(config.sampler_config, config.setup(popular)).sum())
    config = config.with_settings(popularity_power=100.0)
    with pytest.raises(InputError, match=r"`popularity_power`=100\.0 is too high for items that up to 2,000 users"):
        Nncf.item_weights(config.sampler_config, config.setup(popular))


def test_a_power_of_users_by_which_their_weights_are_no_numbers():
    """Of one user who has 20,000 items where 30,000 have one."""
    items = np.concatenate([np.arange(20_000), np.zeros(30_000)]).astype(np.int32)
    offsets = np.concatenate([[0], 20_000 + np.arange(30_001)])
    uneven = Interactions(offsets, items, np.arange(30_001), np.arange(20_000))
    build_trainer(uneven, TrainConfig.from_settings(sampler="uniform", user_weight_power=9, dim=1))
    with pytest.raises(InputError, match=r"`user_weight_power`=10\.0 is too high"):
        build_trainer(uneven, TrainConfig.from_settings(sampler="uniform", user_weight_power=10, dim=1))
