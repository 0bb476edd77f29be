"""What was written is what is read, for every reader: against rows that Hypothesis draws and others' writers write."""

import gzip
import itertools
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import written_tables as written
from damaged_bytes import few
from hypothesis import given
from hypothesis import strategies as st

from pipelines.config import DataConfig
from pipelines.dataset import Dataset
from pipelines.infer import infer
from pipelines.readers import dataframe, given_split, reader

PARTS = st.sampled_from([1 << 24, 64, 7])
"""Bytes of a block: so that records stand across its edges too."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """New folders, one for each example."""
    whole = tmp_path_factory.mktemp("good")
    return (whole / str(number) for number in itertools.count())


def read(folder, files: dict[str, bytes], config: DataConfig, block_bytes: int = 1 << 24):
    path = written.write(next(folder), files)
    path = path / next(iter(files)) if len(files) == 1 else path
    config = infer(DataConfig(**{**vars(config), "data_dir": str(path)}))
    with (
        mock.patch("pipelines.readers.delimited._BLOCK_BYTES", block_bytes),
        mock.patch("pipelines.readers.adjacency._BLOCK_BYTES", block_bytes),
    ):
        return reader(config.dataset).read(path, config)


@few
@given(st.data(), PARTS, st.booleans(), st.booleans())
@pytest.mark.parametrize(("ending", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_delimited(folders, ending, delimiter, data, block_bytes, is_packed, is_named):
    table, [content] = data.draw(written.delimited(delimiter))
    files = {f"x.{ending}.gz": gzip.compress(content, 1)} if is_packed else {f"x.{ending}": content}
    config = written.config_of(table) if is_named else DataConfig()
    table.found_in(read(folders, files, config, block_bytes))


@few
@given(written.delimited(",", parts=3), PARTS, st.booleans())
def test_a_folder_of_parts(folders, both, block_bytes, is_packed):
    table, contents = both
    pack = (lambda content: gzip.compress(content, 1)) if is_packed else bytes
    files = {f"part-{n}.csv{'.gz' * is_packed}": pack(content) for n, content in enumerate(contents)}
    table.found_in(read(folders, files, written.config_of(table), block_bytes))


@few
@given(st.data(), PARTS)
def test_inter(folders, data, block_bytes):
    names = ["user_id:token", "item_id:token", "rating:float", "timestamp:float"]
    table, [content] = data.draw(written.delimited("\t", quoted=False, names=names))
    table.found_in(read(folders, {"x.inter": content}, DataConfig(), block_bytes))


@few
@given(written.adjacency(), PARTS, st.booleans())
def test_adjacency(folders, both, block_bytes, is_packed):
    table, content = both
    content = gzip.compress(content, 1) if is_packed else content
    table.found_in(read(folders, {"x.txt": content}, DataConfig(dataset="adjacency"), block_bytes))


@few
@given(
    written.movielens(), PARTS, st.sampled_from([None, 0, 8, 12, 14]), st.sampled_from(["utf-8", "latin-1"]), st.data()
)
def test_movielens(folders, both, block_bytes, method, encoding, data):
    table, content = both
    title = st.text(st.characters(codec=encoding, exclude_characters="\n\r\0"), min_size=1, max_size=9)
    titles = {item: data.draw(title.filter(lambda text: "::" not in f"{text}:")) for item in set(table.items)}
    files = {"ratings.dat": content}
    files["movies.dat"] = "".join(f"{item}::{text}::Drama\n" for item, text in titles.items()).encode(encoding)
    if method is not None:
        files = {"ml-1m.zip": written.zipped({f"ml-1m/{name}": each for name, each in files.items()}, method)}
    found = read(folders, files, DataConfig(dataset="ml-1m"), block_bytes)
    table.found_in(found)
    if encoding == "utf-8":
        assert all(found.titles[item] == text for item, text in titles.items() if item < 10**18)


@few
@given(written.frames(), st.booleans())
def test_parquet(folders, both, is_named):
    table, frame = both
    config = written.config_of(table) if is_named else DataConfig()
    table.found_in(read(folders, {"x.parquet": written.parquet(frame)}, config))


@few
@given(written.frames(), st.sampled_from(["arrow", "pandas", "polars"]))
def test_frames(both, kind):
    table, frame = both
    table.found_in(dataframe.read(written.as_frame(frame, kind), written.config_of(table)))


@few
@given(st.integers(6, 20), st.integers(6, 12), st.integers(0, 2**32 - 1), st.integers(0, 5))
def test_srns(folders, users, items, seed, protocol):
    arrays = written.srns_arrays(users, items, seed)
    found = read(folders, written.pickled(arrays, protocol), DataConfig())
    assert np.stack([found.train.users, found.train.items], 1).tolist() == arrays["train"].tolist()
    for part, name in ((found.valid, "val"), (found.test, "test")):
        assert np.stack(part.pairs, 1).tolist() == arrays[name].tolist()
        assert part.negatives.tolist() == arrays["test_neg"].tolist()


@few
@given(st.data(), st.randoms(use_true_random=False))
def test_a_given_split_and_what_is_saved_of_it(folders, data, random):
    users = data.draw(st.lists(written.words().filter(bool), min_size=14, max_size=14, unique=True))
    items = random.sample(range(2**40), 126)
    rows = [(user, item) for n, user in enumerate(users) for item in random.sample(items[9 * n : 9 * n + 9], 9)]
    parts = {"train": [row for n, row in enumerate(rows) if n % 9 > 1], "valid": rows[::9], "test": rows[1::9]}
    frames = {name: pd.DataFrame(part, columns=["user", "item"]) for name, part in parts.items()}
    config = DataConfig(dataset="table", user_column="user", item_column="item")
    found = given_split.read(frames, config)
    expected = [str(user) for user in users]
    assert list(map(str, found.train.user_ids)) == expected
    user_ids, item_ids = np.array(expected, object), found.train.item_ids
    train = zip(user_ids[found.train.users], item_ids[found.train.items], strict=True)
    assert list(train) == parts["train"]
    for part, name in ((found.valid, "valid"), (found.test, "test")):
        assert list(zip(user_ids[part.pairs[0]], item_ids[part.pairs[1]], strict=True)) == parts[name]
    path = next(folders)
    path.mkdir()
    saved = Dataset(**vars(found), source=config)
    saved.save(path / "x.npz")
    assert Dataset.load(path / "x.npz").fingerprint == found.fingerprint
