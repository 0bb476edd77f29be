"""SRNS's files: what they hold, what is refused, and that our own split of MovieLens-1M agrees with theirs."""

import os
import pickle
import struct

import numpy as np
import pytest

from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.interactions import from_ratings
from pipelines.readers import movielens, srns
from pipelines.restricted_pickle import load_array
from pipelines.split import leave_one_out

ARRAYS = {
    # Unsorted; each user's rows in an order of their own. Item 5 is in no training row.
    "train": np.array([[1, 0], [0, 4], [2, 2], [0, 1], [1, 6], [2, 3]]),
    "val": np.array([[0, 2], [1, 3], [2, 5]]),
    "test": np.array([[0, 3], [1, 2], [2, 0]]),
    "test_neg": np.array([[0, 6, 6], [1, 4, 5], [1, 6, 1]]),
}


@pytest.fixture
def write(tmp_path):
    def write(items_tsv=None, **changes):
        for name, array in (ARRAYS | changes).items():
            if array is not None:
                (tmp_path / f"{name}.pkl").write_bytes(array if isinstance(array, bytes) else pickle.dumps(array))
        if items_tsv is not None:
            (tmp_path / "items.tsv").write_bytes(items_tsv)
        return tmp_path

    return write


def changed(name, row, column, value):
    array = ARRAYS[name].copy()
    array[row, column] = value
    return {name: array}


def test_reads_what_the_files_say(write):
    data = srns.read(write())
    assert [data.train.of(user).tolist() for user in range(3)] == [[4, 1], [0, 6], [2, 3]], "in the order of the file"
    assert data.valid.items.tolist() == [2, 3, 5]
    assert data.test.items.tolist() == [3, 2, 0]
    assert data.valid.negatives.tolist() == data.test.negatives.tolist() == ARRAYS["test_neg"].tolist()
    assert data.train.user_ids.tolist() == [0, 1, 2]
    assert data.train.item_ids.tolist() == [*range(7)]
    assert data.train.titles is None
    assert data.cold_held_out == (1, 0)
    assert {data.train.items.dtype, data.valid.items.dtype, data.test.items.dtype, data.test.negatives.dtype} == {
        np.dtype(np.int32)
    }


ITEMS = "item\tmovie_id\ttitle\tgenres\n" + "".join(f'{i}\t{50 - i}\tFilm nº {i}, "The"\tNoir\n' for i in range(7))


def test_items_tsv_names_the_items_and_says_how_many_there_are(write):
    rows = ITEMS + "7\t\t\t\n8\t1000\tNever seen\tWar\n"
    train = srns.read(write(items_tsv=rows.encode())).train
    assert train.item_ids.tolist() == [50, 49, 48, 47, 46, 45, 44, -8, 1000]
    assert train.item_ids.dtype == np.int64
    assert train.titles.tolist()[6:] == ['Film nº 6, "The"', "(item 7)", "Never seen"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ITEMS.replace("movie_id", "id"), "items.tsv, line 1: has another header"),
        (ITEMS.replace("2\t48", "9\t48"), "items.tsv, line 4: is '9.*where item 2"),
        (ITEMS.replace("\tNoir\n3", "\n3"), "line 4: is '2.*where item 2"),
        (ITEMS.replace("\t48", "\t-48"), "line 4: movie_id '-48' is not a number"),
        (ITEMS.replace("\t48", "\t" + "9" * 5000), "line 4: movie_id '9*' is not a number"),
        (ITEMS.replace("\t48", "\t49"), "line 4: movie_id 49 stands there twice"),
        ("", "line 1: has another header"),
    ],
)
def test_a_wrong_items_tsv_is_refused(write, rows, message):
    with pytest.raises(InputError, match=message):
        srns.read(write(items_tsv=rows.encode()))


def test_items_tsv_in_another_encoding_is_refused(write):
    with pytest.raises(InputError, match=r"items\.tsv, line 2: not UTF-8 text"):
        srns.read(write(items_tsv=ITEMS.encode("latin1")))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            changed("train", 4, 1, -3),
            r"train\.pkl: row 4 .*user 1 with item -3, but the items known .* 0 to 4",
        ),
        (
            changed("train", 4, 1, 10**12),
            r"train\.pkl: row 4 .*user 1 with item 1000000000000, but .*without large gaps",
        ),
        (changed("train", 4, 0, 10**12), r"train\.pkl: row 4 .*user 1000000000000 with item 6, but .* 0 to 2"),
        (changed("train", 4, 0, -1), r"train\.pkl: row 4 .*user -1 with item 6, but .* 0 to 2"),
        (changed("val", 1, 1, 7), r"val\.pkl: row 1 .*user 1 with item 7, but the items known to training are 0 to 6"),
        (changed("test", 2, 1, 10**12), r"test\.pkl: row 2 .*user 2 with item 1000000000000, but the items known"),
        (changed("test_neg", 1, 2, 7), r"test_neg\.pkl: row 1 .*user 1 with item 7, but the items known"),
        (changed("test_neg", 1, 2, -7), r"test_neg\.pkl: row 1 .*user 1 with item -7, but the items known"),
        (changed("train", 3, 1, 4), r"train\.pkl: row 3 .*user 0 with item 4, but an earlier row does so"),
        (changed("val", 0, 1, 1), r"val\.pkl: row 0 .*user 0 with item 1, but an earlier file"),
        (changed("test", 0, 1, 1), r"test\.pkl: row 0 .*user 0 with item 1, but an earlier file"),
        (changed("test", 0, 1, 2), r"test\.pkl: row 0 .*user 0 with item 2, but an earlier file"),
        (changed("test_neg", 2, 1, 3), r"test_neg\.pkl: row 2 .*user 2 with item 3, but an earlier file"),
        (changed("test_neg", 2, 1, 5), r"test_neg\.pkl: row 2 .*user 2 with item 5, but an earlier file"),
        (changed("test_neg", 2, 1, 0), r"test_neg\.pkl: row 2 .*user 2 with item 0, but an earlier file"),
        (changed("val", 1, 0, 2), r"val\.pkl: row 1 .*user 2 .*row 1 of user 1"),
        ({"test": ARRAYS["test"][::-1]}, r"test\.pkl: row 0 .*user 2 .*row 0 should be of user 0"),
        ({"val": ARRAYS["val"][:2]}, r"val\.pkl: has 2 rows, but test\.pkl has 3 users"),
        ({"test_neg": np.ones((4, 3), int)}, r"test_neg\.pkl: has 4 rows, but test\.pkl has 3 users"),
        ({"train": ARRAYS["train"][[0, 1, 3, 4]]}, r"train\.pkl: has no row of user 2"),
        ({"train": ARRAYS["train"] * 1.0}, r"train\.pkl: holds an array of shape \[6, 2\] and dtype float64"),
        ({"train": ARRAYS["train"].ravel()}, r"train\.pkl: holds an array of shape \[12\]"),
        ({"train": np.zeros((0, 2), int)}, r"train\.pkl: holds an array of shape \[0, 2\]"),
        ({"val": np.ones((3, 3), int)}, r"val\.pkl: has 3 columns, where user and item"),
        ({"train": np.full((6, 2), 2**64 - 1, np.uint64)}, r"train\.pkl: row 0 .*0 to 2"),
        ({"val": None, "test_neg": None}, r": has no val\.pkl, test_neg\.pkl. `data_dir` must be"),
    ],
)
def test_files_that_contradict_each_other_are_refused(write, changes, message):
    with pytest.raises(InputError, match=message):
        srns.read(write(**changes))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.int32).reshape(3, 2),
        np.asfortranarray(np.arange(6).reshape(3, 2)),
        np.arange(12).reshape(3, 4)[:, ::2],
        np.arange(6, dtype=">i8").reshape(3, 2),
        np.frombuffer(bytes(range(8)), np.uint8),
        np.zeros((0, 2), np.int16),
        np.array([1.5, np.nan, -np.inf]),
    ],
)
def test_arrays_come_back_from_every_protocol(tmp_path, array, protocol):
    for name in ("numpy._core", "numpy.core"):  # NumPy 2's and NumPy 1's name of the same module
        written = pickle.dumps(array, protocol)
        if protocol < 4:  # where names are not preceded by their length
            written = written.replace(b"numpy._core", name.encode())
        (tmp_path / "a.pkl").write_bytes(written)
        read = load_array(tmp_path / "a.pkl")
        assert read.dtype == array.dtype
        np.testing.assert_array_equal(read, array)


def test_pickles_of_python_2(tmp_path):
    # What Python 2.7 with NumPy 1.16 writes for np.array([[1, 200], [-3, 4]], np.int32) under its default protocol 0
    # and under protocol 2: byte strings (S, U) that Python 3 has no counterpart of.
    data = struct.pack("<4i", 1, 200, -3, 4)
    text = "".join(f"\\x{byte:02x}" for byte in data)
    by_lines = (
        "cnumpy.core.multiarray\n_reconstruct\np0\n(cnumpy\nndarray\np1\n(I0\ntp2\nS'b'\np3\ntp4\nRp5\n"
        "(I1\n(I2\nI2\ntp6\ncnumpy\ndtype\np7\n(S'i4'\np8\nI0\nI1\ntp9\nRp10\n"
        "(I3\nS'<'\np11\nNNNI-1\nI-1\nI0\ntp12\nbI00\n" + f"S'{text}'\n" + "p13\ntp14\nb."
    ).encode()
    by_bytes = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01K\x00\x85q\x02U\x01bq\x03\x87q\x04R"
        b"q\x05(K\x01K\x02K\x02\x86q\x06cnumpy\ndtype\nq\x07U\x02i4q\x08K\x00K\x01\x87q\tRq\n(K\x03U\x01<q\x0bNNN"
        b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x0cb\x89U\x10" + data + b"q\rtq\x0eb."
    )
    for written in (by_lines, by_bytes):
        (tmp_path / "a.pkl").write_bytes(written)
        read = load_array(tmp_path / "a.pkl")
        assert read.tolist() == pickle.loads(written, encoding="latin1").tolist() == [[1, 200], [-3, 4]]


class Runs:
    """Pickles as a call of os.system."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_runs_code_is_refused(tmp_path, write, protocol):
    victim = tmp_path / "victim"
    for evil in (Runs(f"touch {victim}"), [ARRAYS["train"], Runs(f"touch {victim}")]):
        with pytest.raises(InputError, match=r"train\.pkl: asks for (posix|nt)\.system, .* may run code"):
            srns.read(write(train=pickle.dumps(evil, protocol)))
        assert not victim.exists()


def call(module, name, *arguments):
    """A pickle that calls module.name, whatever that is."""
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + pickle.dumps(arguments, 2)[2:-1] + b"R."


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (call("builtins", "eval", "1"), r"asks for builtins\.eval"),
        (call("numpy", "load", "/etc/hosts"), r"asks for numpy\.load"),
        (call("numpy", "ndarray.tofile", "x"), r"asks for numpy\.ndarray\.tofile"),
        (pickle.dumps(np.array([[1, "a"]], object)), "dtype 'O8', where only numbers are read"),
        (pickle.dumps(np.array(["text"])), "dtype 'U4', where only numbers"),
        (pickle.dumps(np.zeros(2, [("a", int)])), "dtype 'V8', where only numbers"),
        (pickle.dumps([[0, 1], [1, 2]]), r"holds a list, not a NumPy array. Write it as"),
        (call("numpy", "ndarray", (10**15,)), "holds an unfinished array"),
        (call("_codecs", "encode", "text", "rot13"), "holds a _Bytes, not a NumPy array"),
        (pickle.dumps(ARRAYS["train"])[:-20], "is not a whole pickle .* may be truncated"),
        (pickle.dumps(ARRAYS["train"], 2)[:60], "is not a whole pickle"),
        (b"", "is not a whole pickle"),
        (b"user,item\n1,2\n", "is not a whole pickle"),
        (pickle.dumps(ARRAYS["train"], 2).replace(b"K\x06K\x02", b"K\x07K\x02"), "112 bytes has 96"),
    ],
)
def test_what_is_not_an_array_of_numbers_is_refused(write, written, message):
    with pytest.raises(InputError, match=rf"train\.pkl: .*{message}"):
        srns.read(write(train=written))


@pytest.fixture(scope="module")
def published(shared_data):
    return srns.read(shared_data / "srns/ml1m")


def test_the_published_split_of_movielens_1m(published):
    # The paper's Table 2 has 563,186 training pairs; this copy lacks 154 of them.
    expected = {"#User": 6028, "#Item": 3533, "#Train": 563_186 - 154, "#Valid": 6028, "#Test": 6028}
    assert published.statistics() == expected
    assert published.cold_held_out == (5, 13)
    assert published.test.negatives.shape == (6028, 100)
    assert published.train.item_ids[0] == 1193
    assert published.train.titles[0] == "One Flew Over the Cuckoo's Nest (1975)"
    assert len(set(published.train.item_ids.tolist())) == 3533


def test_our_split_of_movielens_1m_is_the_published_one(published, shared_data):
    folder = shared_data / "ml-1m-head"
    ratings = movielens.read(folder, DataConfig(dataset="ml-1m", data_dir=str(folder)))
    ours = leave_one_out("ml-1m", from_ratings(ratings), seed=0)
    users = range(668)  # The file breaks off within the next.
    assert ours.valid.items[:668].tolist() == published.valid.items[:668].tolist()
    assert ours.test.items[:668].tolist() == published.test.items[:668].tolist()
    differences = {
        user: set(ours.train.of(user).tolist()) ^ set(published.train.of(user).tolist())
        for user in users
        if sorted(ours.train.of(user)) != sorted(published.train.of(user))
    }
    # SRNS's copy gives user 607 an item that ratings.dat has no line of for that user.
    assert differences == {607: {2487}}
    assert 2487 in published.train.of(607)
    assert (published.train.item_ids[2487], ours.train.user_ids[607]) == (2614, 608)
    assert not ((ratings.users == 608) & (ratings.items == 2614)).any()
    named = published.train.item_ids[: ours.train.num_items] >= 0
    assert ours.train.item_ids[named].tolist() == published.train.item_ids[: ours.train.num_items][named].tolist()
