"""The gain table that a run gets by itself: told before the split, and the same one when the run is gone on with."""

from dataclasses import replace

import numpy as np
import pytest

from gdns_tf.flags import read_config
from gdns_tf.runs.callbacks import Callback
from gdns_tf.runs.interrupts import Interrupted
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.runs.train import train as train_run
from gdns_tf.samplers import gain_table_config
from gdns_tf.train import train
from gdns_tf.training.build import build_batches, build_trainer
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.load import load_dataset

USERS, ITEMS = 60, 150
DATA = DataConfig(dataset="planted", planted_users=USERS, planted_items=ITEMS)
DATASET = load_dataset(DATA)
DENSE = 8.0 * USERS * ITEMS


@pytest.fixture
def config(tmp_path):
    return TrainConfig(
        output_dir=str(tmp_path / "run"),
        group_size=8,
        num_candidates=16,
        batch_size=16,
        dim=4,
        max_epochs=4,
        eval_every=2,
        show_users=0,
        tensorboard=False,
    )


@pytest.fixture
def memory(monkeypatch):
    """Sets how many bytes are free."""
    return lambda size: monkeypatch.setattr(gain_table_config, "memory_for_variables", lambda: (size, "memory"))


class Break(Callback):
    """Breaks the run off after an epoch."""

    def __init__(self, epoch):
        self._epoch = epoch

    def on_epoch(self, run, loss):
        if run.epoch == self._epoch:
            run.interrupt()


def form_of(config):
    of_sampler = read_config(RunFolder(config.output_dir).flags, TrainConfig).sampler_config
    return of_sampler.gain_table, of_sampler.gain_slots


def trained(config):
    run = train_run(DATASET, DATA, config, progress=False)
    return run.trainer.sampler.table.variables[0].numpy(), run.trainer.scorer.arrays()


@pytest.mark.parametrize(
    ("free", "now", "cells", "form"),
    [(DENSE, 1e9, "float32", ("bounded", 50)), (1e9, DENSE, "bfloat16", ("dense", 0))],
    ids=["bounded", "dense"],
)
def test_a_run_goes_on_with_its_table_whatever_memory_there_is_now(free, now, cells, form, config, memory, tmp_path):
    config = config.with_settings(gain_cells=cells)
    memory(free)
    whole = trained(replace(config, output_dir=str(tmp_path / "whole")))
    with pytest.raises(Interrupted):
        train_run(DATASET, DATA, config, [Break(2)], progress=False)
    assert form_of(config) == form
    memory(now)
    resumed = trained(config.with_settings(gain_memory_share=0.25))
    assert form_of(config) == form
    np.testing.assert_array_equal(resumed[0], whole[0])
    for name, array in whole[1].items():
        np.testing.assert_array_equal(resumed[1][name], array)


def test_a_dense_run_on_a_machine_too_small_is_refused_and_kept(config, memory):
    memory(1e9)
    with pytest.raises(Interrupted):
        train_run(DATASET, DATA, config, [Break(2)], progress=False)
    memory(DENSE - 1)
    with pytest.raises(InputError, match="a gain table of 60 users x 150 items takes"):
        train_run(DATASET, DATA, config, progress=False)
    with pytest.raises(InputError, match="holds a run with `gain_table`=dense, not bounded"):
        train_run(DATASET, DATA, config.with_settings(gain_table="bounded"), progress=False)
    memory(1e9)
    assert train_run(DATASET, DATA, config, progress=False).epoch == 4


def test_a_run_of_a_version_without_a_choice_goes_on_dense(config, memory):
    memory(1e9)
    with pytest.raises(Interrupted):
        train_run(DATASET, DATA, config, [Break(2)], progress=False)
    flags = RunFolder(config.output_dir).flags
    former = [line for line in flags.read_text().splitlines() if not line.startswith(("--gain_", "--nogain_"))]
    flags.write_text("\n".join([*former, "--gain_slots=0", ""]))
    memory(DENSE)  # of which a new run would take half
    assert train_run(DATASET, DATA, config, progress=False).epoch == 4
    assert form_of(config) == ("dense", 0)


def arrays_after(config, epochs):
    """The scorer's arrays after epochs of training, without the rest of a run."""
    trainer, batches = build_trainer(DATASET.train, config), iter(build_batches(DATASET.train, config))
    train_epoch = trainer.make_train_function()
    for _ in range(epochs):
        train_epoch(batches)
    return trainer.scorer.arrays()


def test_as_many_slots_as_items_train_as_the_dense_table_does(config):
    results = []
    for form, cells in [(form, cells) for cells in ("float32", "float16", "bfloat16") for form in ("dense", "bounded")]:
        slots = ITEMS if form == "bounded" else 0
        settings = {"gain_table": form, "gain_slots": slots, "gain_cells": cells}
        results.append(arrays_after(config.with_settings(**settings), epochs=6))
    for dense, bounded in (results[:2], results[2:4], results[4:]):
        for name, array in dense.items():
            np.testing.assert_array_equal(bounded[name], array)
    assert any((results[0][name] != results[4][name]).any() for name in results[0])  # coarse enough to be seen


@pytest.mark.parametrize("source", ["planted", "table"])
def test_the_command_refuses_or_chooses_before_the_split(source, config, memory, tmp_path, monkeypatch, caplog):
    """That is, before evaluation negatives are drawn, and what is planted before anything is."""
    caplog.set_level("INFO", "gdns_tf")
    data = DATA
    if source == "table":
        pairs = zip(DATASET.train.users.tolist(), DATASET.train.items.tolist(), strict=True)
        path = tmp_path / "clicks.csv"
        path.write_text("\n".join(["user_id,item_id", *(f"{user},{item}" for user, item in pairs)]) + "\n")
        data = DataConfig(dataset="table", data_dir=str(path), min_user_items=3)

    def drawn(*_arguments):
        raise AssertionError("negatives are drawn")

    monkeypatch.setattr("pipelines.split.draw_negatives", drawn)
    monkeypatch.setattr("pipelines.readers.planted.draw_negatives", drawn)
    memory(1000.0)
    with pytest.raises(InputError, match=r"a gain table of 60 users x .* items takes"):
        train(data, config.with_settings(gain_table="dense"))
    assert not RunFolder(config.output_dir).path.exists()
    memory(DENSE / 4)
    with pytest.raises(AssertionError, match="negatives are drawn"):
        train(data, config)
    assert "The gain table keeps `gain_slots`=12 of" in caplog.text
    monkeypatch.undo()
    memory(DENSE / 4)
    caplog.clear()
    train(data, config)
    assert form_of(config) == ("bounded", 12)
    assert caplog.text.count("The gain table keeps") == 1
