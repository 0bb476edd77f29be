"""The weights file: what is written is read, and a wrong file is named with what is wrong in it."""

import errno

import numpy as np
import pytest

from gdns_tf.models.factors import Factors
from gdns_tf.models.weights_file import load_weights, save_arrays, save_factors
from pipelines.errors import InputError, StorageError

TRAIN = None
"""A user of a GMF is a row, whatever it was trained on."""


def arrays(**changes):
    rng = np.random.default_rng(0)
    made = {"P": rng.normal(size=(4, 3)), "Q": rng.normal(size=(5, 3)), "w": rng.normal(size=3)}
    return {name: array for name, array in (made | changes).items() if array is not None}


def with_value(shape, position, value):
    array = np.zeros(shape)
    array[position] = value
    return array


def test_what_is_saved_is_loaded_and_scores_as_equation_2(tmp_path):
    save_arrays(tmp_path / "weights.npz", arrays())
    loaded, made = load_weights(tmp_path / "weights.npz").factors(TRAIN), arrays()
    direct = np.einsum("k,uk,ik->ui", made["w"], made["P"], made["Q"])
    np.testing.assert_allclose(loaded.queries @ loaded.items.T, direct, rtol=1e-5)
    np.testing.assert_array_equal(loaded.dimension_weights, made["w"].astype(np.float32))
    assert loaded.queries.dtype == loaded.items.dtype == np.float32
    assert [path.name for path in tmp_path.iterdir()] == ["weights.npz"]


def test_factors_of_no_scorer_are_saved_too(tmp_path):
    rng = np.random.default_rng(0)
    factors = Factors(rng.normal(size=(4, 3)), rng.normal(size=(5, 3)))
    save_factors(tmp_path / "ials.npz", factors)
    for scorer in ("", "gmf"):
        loaded = load_weights(tmp_path / "ials.npz", scorer).factors(TRAIN)
        for name in ("queries", "items", "dimension_weights"):
            np.testing.assert_array_equal(getattr(loaded, name), getattr(factors, name))
    np.testing.assert_array_equal(loaded.dimension_weights, np.ones(3))


def test_factors_that_do_not_fit_together_are_refused():
    for queries, items, weights in ((np.ones((2, 3)), np.ones((4, 2)), None), (np.ones((2, 3)), np.ones((4, 3)), [1])):
        with pytest.raises(ValueError, match="do not fit together"):
            Factors(queries, items, weights)


def test_a_row_of_zeros_after_the_last_item_is_padding_and_others_are_not():
    factors = Factors(np.ones((2, 3)), np.concatenate([np.ones((4, 3)), np.zeros((1, 3))]))
    assert factors.without_padding(4).num_items == 4
    assert factors.without_padding(5) is factors
    assert factors.without_padding(3) is factors


def test_a_failed_save_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "weights.npz"
    save_arrays(path, arrays())
    before = path.read_bytes()

    def full_disk(file, **_):
        file.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(
        StorageError, match=r"weights\.npz: cannot be written: No space left on device. Make room there"
    ):
        save_arrays(path, arrays(w=np.ones(3)))
    assert path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["weights.npz"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"w": None}, "no array w"),
        ({"w": np.ones((1, 3))}, r"w \[1, 3\]"),
        ({"Q": np.ones((5, 2))}, r"Q \[5, 2\]"),
        ({"Q": with_value((5, 3), (4, 1), np.nan)}, r"Q\[4, 1\] is nan"),
        ({"P": with_value((4, 3), (0, 2), 1e300)}, r"P\[0, 2\] is inf"),
        ({"P": np.ones((4, 3), int)}, "P holds int64"),
        ({"P": np.array([[{}]])}, "allow_pickle"),
    ],
)
def test_a_wrong_array_is_named(tmp_path, changes, message):
    path = tmp_path / "wrong.npz"
    np.savez(path, **arrays(**changes))
    with pytest.raises(InputError, match=rf"wrong\.npz: .*{message}"):
        load_weights(path).factors(TRAIN)


def test_a_wrong_file_is_named(tmp_path):
    good, path = tmp_path / "good.npz", tmp_path / "wrong.npz"
    save_arrays(good, arrays())
    with pytest.raises(InputError, match=r"wrong\.npz: there is no such file"):
        load_weights(path).factors(TRAIN)
    whole = good.read_bytes()
    for content in (b"", b"not a zip", whole[:200], whole[:-30], b"\x93NUMPY" + whole[6:100]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"wrong\.npz: not an \.npz file, or damaged"):
            load_weights(path).factors(TRAIN)
    flipped = bytearray(whole)
    flipped[200] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(InputError, match=r"wrong\.npz: not an \.npz file, or damaged \(Bad CRC-32"):
        load_weights(path).factors(TRAIN)
