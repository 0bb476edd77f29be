"""The weights file: what is written is read, and a wrong file is named with what is wrong in it."""

import numpy as np
import pytest

from gdns_tf.models.factors import Weights
from pipelines.errors import InputError


def arrays(**changes):
    rng = np.random.default_rng(0)
    made = {"P": rng.normal(size=(4, 3)), "Q": rng.normal(size=(5, 3)), "w": rng.normal(size=3)}
    return {name: array for name, array in (made | changes).items() if array is not None}


def with_value(shape, position, value):
    array = np.zeros(shape)
    array[position] = value
    return array


def test_what_is_saved_is_loaded(tmp_path):
    weights = Weights(**arrays())
    weights.save(tmp_path / "weights.npz")
    loaded = Weights.load(tmp_path / "weights.npz")
    for name in "PQw":
        np.testing.assert_array_equal(getattr(loaded, name), arrays()[name].astype(np.float32))
        assert getattr(loaded, name).dtype == np.float32
    assert [path.name for path in tmp_path.iterdir()] == ["weights.npz"]


def test_query_folds_the_score_to_an_inner_product():
    weights = Weights(**arrays())
    direct = np.einsum("k,uk,ik->ui", weights.w, weights.P, weights.Q)
    np.testing.assert_allclose(weights.query @ weights.Q.T, direct, rtol=1e-5)


def test_a_failed_save_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "weights.npz"
    Weights(**arrays()).save(path)
    before = path.read_bytes()

    def full_disk(file, **_):
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="No space"):
        Weights(**arrays(w=np.ones(3))).save(path)
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
        Weights.load(path)


def test_a_wrong_file_is_named(tmp_path):
    good, path = tmp_path / "good.npz", tmp_path / "wrong.npz"
    Weights(**arrays()).save(good)
    with pytest.raises(InputError, match=r"wrong\.npz: there is no such file"):
        Weights.load(path)
    whole = good.read_bytes()
    for content in (b"", b"not a zip", whole[:200], whole[:-30], b"\x93NUMPY" + whole[6:100]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"wrong\.npz: this is not an \.npz file"):
            Weights.load(path)
    flipped = bytearray(whole)
    flipped[200] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(InputError, match=r"wrong\.npz: cannot be read .*Bad CRC-32"):
        Weights.load(path)
