"""Files that are damaged, cut, spliced, packed and named in any way: each is read, or refused in a line that names it.

Nothing else is raised, and little memory is taken. HYPOTHESIS_PROFILE=long looks for minutes.
"""

import bz2
import gzip
import itertools
import logging
import lzma
import os
import resource

import pytest
import written_tables as written
from damaged_bytes import DAMAGES, ODD, damaged, few
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.config import DataConfig
from pipelines.dataset import Dataset
from pipelines.errors import InputError
from pipelines.load import load_dataset

MEGABYTES = 200
"""That a bad file may take, where the good one is some hundred bytes."""
_PACK = {"gzip": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zip": lambda c: written.zipped({"x": c})}
_ENDINGS = ("csv", "tsv", "txt", "dat", "inter", "parquet", "npz", "zip", "gz", "csv.gz", "pkl", "")


@pytest.fixture(autouse=True, scope="module")
def quiet():
    """Thousands of notices would be kept for the report of a failure."""
    logging.getLogger("gdns_tf").setLevel("CRITICAL")
    yield
    logging.getLogger("gdns_tf").setLevel("NOTSET")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """New folders, one for each example."""
    whole = tmp_path_factory.mktemp("bad")
    return (whole / str(number) for number in itertools.count())


def is_read_or_refused(path, names: tuple[str, ...]) -> None:
    """Each way to open the path ends as it should."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name in names:
        try:
            load_dataset(DataConfig(dataset=name, data_dir=str(path), min_user_items=3))
        except InputError as error:
            said = str(error)
            assert str(path.parent) in said or "`" in said, said  # the file, whose name may be odd, or the setting
            assert said.isprintable(), said
            assert len(said) < 3000, said
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    assert grown < MEGABYTES, f"{grown} MB more"


_TEXTS = {
    "table": ("x.csv", written.delimited(",").map(lambda both: both[1][0])),
    "inter": (
        "x.inter",
        written.delimited(
            "\t", quoted=False, names=["user_id:token", "item_id:token", "rating:float", "timestamp:float"]
        ).map(lambda both: both[1][0]),
    ),
    "adjacency": ("x.txt", written.adjacency().map(lambda both: both[1])),
    "ml-1m": ("ratings.dat", written.movielens().map(lambda both: both[1])),
}
_PARQUET = written.frames().map(lambda both: written.parquet(both[1]))


@pytest.mark.parametrize("name", _TEXTS)
@few
@given(st.data(), DAMAGES, st.sampled_from(["", *_PACK]), st.booleans())
def test_text(folders, name, data, damages, packing, first):
    """Damaged and then packed, or packed and then damaged."""
    file, contents = _TEXTS[name]
    pack = _PACK.get(packing, bytes)
    content = data.draw(contents)
    content = pack(damaged(content, damages)) if first else damaged(pack(content), damages)
    folder = written.write(next(folders), {file: content})
    is_read_or_refused(folder / file, (name, ""))


@few
@given(_PARQUET, DAMAGES)
def test_parquet(folders, content, damages):
    folder = written.write(next(folders), {"x.parquet": damaged(content, damages)})
    is_read_or_refused(folder / "x.parquet", ("",))


@few
@given(written.movielens(), st.text(max_size=40), st.sampled_from([0, 8, 12, 14]), DAMAGES)
def test_zip(folders, both, titles, method, damages):
    members = {"ml-1m/ratings.dat": both[1], "ml-1m/movies.dat": titles.encode("utf-8", "surrogatepass")}
    folder = written.write(next(folders), {"ml-1m.zip": damaged(written.zipped(members, method), damages)})
    is_read_or_refused(folder / "ml-1m.zip", ("ml-1m", ""))


@pytest.mark.parametrize(
    ("name", "good", "other", "titles"),
    [
        ("ml-1m", "1::2::5::4\n", "movies.dat", "1::a::b\n2::c::d\n"),
        ("ml-20m", "userId,movieId,rating,timestamp\n1,2,5,4\n", "movies.csv", 'movieId,title,genres\n1,"a, b",c\n'),
        ("inter", "user_id:token\titem_id:token\n1\t2\n", "x.item", "item_id:token\ttitle:token_seq\n1\ta b\n2\tc\n"),
    ],
)
@few
@given(DAMAGES)
def test_titles_beside(folders, name, good, other, titles, damages):
    file = {"ml-1m": "ratings.dat", "ml-20m": "ratings.csv", "inter": "x.inter"}[name]
    files = {file: good.encode(), other: damaged(titles.encode(), damages)}
    is_read_or_refused(written.write(next(folders), files), (name,))


@few
@given(st.integers(0, 5), st.sampled_from(["train.pkl", "val.pkl", "test.pkl", "test_neg.pkl", "items.tsv"]), DAMAGES)
def test_srns(folders, protocol, which, damages):
    files = written.pickled(written.srns_arrays(6, 8, seed=1), protocol)
    rows = "".join(f"{n}\t{n}0\tTitle\tDrama\n" for n in range(8))
    files["items.tsv"] = f"item\tmovie_id\ttitle\tgenres\n{rows}".encode()
    is_read_or_refused(written.write(next(folders), files | {which: damaged(files[which], damages)}), ("srns", ""))


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("saved") / "x.npz"
    Dataset.load("planted", planted_users=30, planted_items=140).save(path)
    return path.read_bytes()


@few
@given(DAMAGES)
def test_saved(folders, saved, damages):
    is_read_or_refused(written.write(next(folders), {"x.npz": damaged(saved, damages)}) / "x.npz", ("saved", ""))


@example(b"\xef", "csv")
@few
@given(st.binary(max_size=300) | st.lists(ODD, max_size=9).map(b"".join), st.sampled_from(_ENDINGS))
def test_anything(folders, content, ending):
    folder = written.write(next(folders), {f"x.{ending}": content})
    is_read_or_refused(folder / f"x.{ending}", ("", "table", "inter", "adjacency", "ml-1m", "ml-20m", "saved", "srns"))


_NAMES = st.binary(min_size=1, max_size=300).filter(
    lambda name: not set(name) & set(b"/\0") and name not in (b".", b"..")
)


@few
@given(_NAMES, st.sampled_from(_ENDINGS))
def test_odd_names(folders, name, ending):
    """Of files that are there, and of those that are not."""
    folder = written.write(next(folders), {})
    folder.mkdir()
    file = os.fsdecode(name) + f".{ending}"
    if len(os.fsencode(file)) <= 255:
        (folder / file).write_bytes(b"user_id,item_id\nann,1\n")
    is_read_or_refused(folder / file, ("", "table", "inter", "adjacency", "saved", "srns", "ml-1m"))
    is_read_or_refused(folder, ("", "table", "inter", "srns"))
