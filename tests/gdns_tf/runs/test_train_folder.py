"""What training does with its folder: one run at a time in it, what was half removed, damaged or left there."""

import shutil

import numpy as np
import pytest
from crash_points import contents
from tiny_runs import CONFIG, DATA, SPLIT, TinyTrainer, results, run, train_tiny

import gdns_tf
from gdns_tf.runs import train as train_module
from gdns_tf.runs.callbacks import Callback
from gdns_tf.runs.lock import LOCK
from gdns_tf.runs.run_folder import RunFolder
from pipelines.dataset import with_source
from pipelines.errors import InputError


@pytest.fixture(autouse=True)
def stand_in(monkeypatch):
    train_tiny(monkeypatch)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        train_tiny(patch)
        run(folder := tmp_path_factory.mktemp("finished") / "run")
    return folder, results(folder)


@pytest.fixture
def folder(finished, tmp_path):
    """That of a finished run."""
    return shutil.copytree(finished[0], tmp_path / "run")


class Meanwhile(Callback):
    """Does something after the first epoch, which must be refused."""

    def __init__(self, *attempts):
        self.attempts, self.told = attempts, []

    def on_epoch(self, run, loss):
        if run.epoch == 1:
            for attempt in self.attempts:
                with pytest.raises(InputError, match=r"process \d+ on \S+, since .* is at work there.*`output_dir`"):
                    attempt()
                self.told.append(run.epoch)


@pytest.mark.parametrize("settings", [{}, {"overwrite": True, "l2": 0.5}])
def test_a_living_run_is_left_alone(finished, tmp_path, settings):
    folder = tmp_path / "run"
    model = gdns_tf.load(finished[0], with_source(SPLIT, DATA))
    look = Meanwhile(
        lambda: run(folder),
        lambda: run(folder, **settings),
        lambda: RunFolder.open(DATA, CONFIG.with_settings(output_dir=str(folder), **settings)),
        lambda: model.save(folder, overwrite=True),
    )
    run(folder, look)
    assert len(look.told) == 4
    assert results(folder) == finished[1]
    assert not list(tmp_path.rglob(LOCK))
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("gone", ["metrics.json", "weights.npz", "history.csv", "trained_on.npz", "checkpoints"])
def test_a_run_of_which_a_half_is_removed_is_refused_and_started_afresh_by_overwrite(folder, finished, gone):
    (folder / "flags.txt").unlink()
    shutil.rmtree(folder / gone) if gone == "checkpoints" else (folder / gone).unlink()
    before = contents(folder)
    with pytest.raises(InputError, match=r"run: the folder holds .* of a run, but not its flags\.txt.*`overwrite`"):
        run(folder)
    assert contents(folder) == before
    run(folder, overwrite=True)
    assert results(folder) == finished[1]


@pytest.mark.parametrize("name", ["cat.jpg", "data.npz", "weights.npz", "checkpoints/../photo.tmp", ".hidden"])
def test_what_may_be_anybodys_is_refused_and_stays(tmp_path, name):
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    (tmp_path / "run" / name).write_text("mine")
    if "checkpoints" not in name:
        (tmp_path / "run/checkpoints").rmdir()
    before = contents(tmp_path)
    with pytest.raises(InputError, match="not empty and holds no run"):
        run(tmp_path / "run", overwrite=True)
    assert contents(tmp_path) == before


LEFT = [
    ".flags.0123456789ab.tmp.txt",
    ".weights.0123456789ab.tmp.npz",
    ".writable.4711",
    ".lock",
    "checkpoints/ckpt-9.index",
    "checkpoints/ckpt-9_temp/part-0",
    "checkpoints/.checkpoint.0123456789ab.tmp",
]


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_a_kill_left_goes_and_what_is_not_ours_stays(folder, finished, overwrite):
    foreign = [".recommendations.0123456789ab.tmp.csv", "notes.txt", "checkpoints.bak"]
    for name in [*LEFT, *foreign]:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("left")
    run(folder, overwrite=overwrite)
    metrics, history, weights, names = results(folder)
    assert (metrics, history, weights) == finished[1][:3]
    assert set(names) - set(finished[1][3]) == set(foreign)


def test_a_damaged_history_is_made_again(folder, finished):
    (folder / "history.csv").write_text("epoch,seconds\n1,")
    run(folder)
    assert results(folder) == finished[1]
    (folder / "history.csv").unlink()
    run(folder)
    assert results(folder) == finished[1]


@pytest.mark.parametrize("damage", ["", "--seed=1", "\0\xff" * 40, "# Which data"])
def test_damaged_flags_are_told_from_other_settings(folder, finished, damage):
    (folder / "flags.txt").write_text(damage, encoding="latin-1")
    for attempt in (lambda: run(folder), lambda: gdns_tf.load(folder)):
        with pytest.raises(InputError, match=r"flags\.txt"):
            attempt()
    run(folder, overwrite=True)
    assert results(folder) == finished[1]


def test_a_setting_that_does_not_go_with_the_data_leaves_nothing(tmp_path, monkeypatch):
    def refuse(*_):
        raise InputError("no")

    monkeypatch.setattr(train_module, "build_trainer", refuse)
    with pytest.raises(InputError, match="no"):
        run(tmp_path / "a/b/run")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e25])
@pytest.mark.parametrize("refit", [False, True])
def test_weights_whose_scores_are_no_numbers_are_not_kept(tmp_path, monkeypatch, value, refit):
    """The loss of the last epoch knows nothing yet of where its last step led."""

    class Diverges(TinyTrainer):
        def make_train_function(self):
            train_epoch = super().make_train_function()

            def diverging(batches):
                loss = train_epoch(batches)
                is_second_training = len(self.refits) > 1
                if int(self.sampler.step) == 2 and is_second_training == refit:
                    for weight in self.scorer.trainable_variables:
                        weight.assign(np.full(weight.shape, value))
                return loss

            self.refits.append(1)
            return diverging

        refits: list = []  # noqa: RUF012

    monkeypatch.setattr(train_module, "build_trainer", Diverges)
    told = r"after epoch 2 .*(hold NaN or infinity|beyond float32): the training diverged\..*Lower `learning_rate`"
    with pytest.raises(FloatingPointError, match=told):
        run(tmp_path / "run", refit=refit)
    kept = tmp_path / "run/refit" if refit else tmp_path / "run"
    assert not (kept / "weights.npz").exists()
    assert not (kept / "metrics.json").exists()
