"""Two checkpoints: the older one stands in for a newer one that is damaged, and what is damaged is never restored."""

import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from gdns_tf.runs.checkpoints import Checkpoints, forget, numbers
from gdns_tf.runs.state import RunState
from gdns_tf.samplers.gain_table import DenseGainTable
from pipelines.errors import InputError


def checkpoints(folder, size=50, large=True):
    state, sampler = RunState([], "data"), tf.Module()
    sampler.table = DenseGainTable(size, 100)
    made = Checkpoints(folder, sampler.variables if large else (), state=state, sampler=sampler)
    return made, state, sampler.table.cells


@pytest.fixture
def saved(tmp_path):
    """The folder of three checkpoints, of which the last two are kept; they hold the numbers 2 and 3."""
    folder = tmp_path / "checkpoints"
    made, state, cells = checkpoints(folder)
    for value in (1, 2, 3):
        state.epoch.assign(value)
        cells.assign(tf.fill(cells.shape, float(value)))
        made.save()
    return folder


def restored(folder):
    made, state, cells = checkpoints(folder)
    made.restore("data")
    assert np.unique(cells.numpy()).tolist() == [float(state.epoch.numpy() or 1)]
    return int(state.epoch.numpy())


def test_two_are_kept_and_tensorflow_and_sha256sum_read_them(saved):
    assert numbers(saved) == [3, 2]
    assert restored(saved) == 3
    assert tf.train.latest_checkpoint(str(saved)) == str(saved / "ckpt-3")
    assert tf.train.load_checkpoint(str(saved)).get_tensor("state/epoch/.ATTRIBUTES/VARIABLE_VALUE") == 3
    assert re.fullmatch(r"([0-9a-f]{64}  ckpt-3\.\S+\n){2}", (saved / "ckpt-3.sha256").read_text())


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) * 2 // 3] ^= 4
    path.write_bytes(content)


def replaced(path):
    path.unlink()
    path.mkdir()


DAMAGE = [cut, flip, Path.unlink, lambda path: path.write_bytes(b""), replaced]


@pytest.mark.parametrize("part", ["index", "data-00000-of-00001", "sha256"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_the_older_one_stands_in_and_it_is_said(saved, caplog, part, damage):
    damage(saved / f"ckpt-3.{part}")
    assert restored(saved) == 2
    assert re.search(r"checkpoints: ckpt-3 is damaged \(.+\)\. Going on from the checkpoint before\.", caplog.text)
    made, *_ = checkpoints(saved)
    made.restore("data")
    made.save()
    assert numbers(saved) == [3, 2]
    assert restored(saved) == 2
    damage(saved / f"ckpt-3.{part}")
    damage(saved / f"ckpt-2.{part}")
    with pytest.raises(InputError, match=r"ckpt-3 is damaged .* and ckpt-2 is .*no other is there.*`overwrite`"):
        restored(saved)


@pytest.mark.parametrize("damage", DAMAGE)
def test_tensorflows_own_list_is_not_needed(saved, damage):
    damage(saved / "checkpoint")
    assert restored(saved) == 3


def test_every_bit_is_looked_at(saved):
    rng = np.random.default_rng(0)
    for part in ("index", "data-00000-of-00001"):
        path = saved / f"ckpt-3.{part}"
        content = path.read_bytes()
        for place in rng.choice(8 * len(content), 15, replace=False):
            damaged = bytearray(content)
            damaged[place // 8] ^= 1 << (place % 8)
            path.write_bytes(damaged)
            assert restored(saved) == 2
        path.write_bytes(content)
    assert restored(saved) == 3


def test_other_data_and_another_version_are_told_from_damage(saved):
    made, *_ = checkpoints(saved)
    with pytest.raises(InputError, match=r"was made on data data, and the data is now other.*`overwrite`"):
        made.restore("other")
    more = Checkpoints(saved, state=RunState([tf.Variable(0.0)], "data"), sampler=tf.Module())
    with pytest.raises(InputError, match=r"ckpt-3 does not fit the run.*Another version"):
        more.restore("data")


def test_of_what_is_to_be_forgotten_nothing_looks_whole(saved, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/file").touch()
    (saved / "link").symlink_to(tmp_path / "elsewhere")
    forget(saved)
    assert not saved.exists()
    assert (tmp_path / "elsewhere/file").exists()
    forget(saved)


def memory(name):
    """Bytes that this process takes: "VmRSS" now, or "VmHWM" at most so far."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name)]
    return int(line.split()[1]) * 1024


def test_a_large_table_is_restored_in_place(tmp_path):
    size = 8 * 100 * 150_000  # bytes
    made, _, cells = checkpoints(tmp_path, 150_000)
    made.save()
    del made, cells
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak is that of from here on
    except OSError:
        pytest.skip("this system does not let peaks be measured")
    peaks = []
    for large in (True, False):
        made, _, cells = checkpoints(tmp_path, 150_000, large)
        Path("/proc/self/clear_refs").write_text("5")
        before = memory("VmRSS")
        made.restore("data")
        peaks.append(memory("VmHWM") - before)
        del made, cells
    assert peaks[0] < 0.3 * size < 0.7 * size < peaks[1]


@pytest.mark.parametrize("number", ["9" * 5000, "\u00b2", "-1", ""])
def test_an_index_that_names_no_number_names_none(tmp_path, number):
    (tmp_path / "checkpoint").write_text(f'model_checkpoint_path: "ckpt-{number}"\nall: "ckpt-7"', encoding="utf-8")
    (tmp_path / f"ckpt-{number[:100]}.sha256").touch()
    assert numbers(tmp_path) == [7]
