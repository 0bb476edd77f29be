"""Titles of an export, and files that hold none."""

import pytest

from gdns_tf.clients import ServingError
from gdns_tf.clients.titles import read_titles, titles_of


@pytest.mark.parametrize("id_type", ["int64", "string"])
def test_titles_are_those_of_the_export(models, id_type):
    folder, oracle = models[id_type]
    assert read_titles(folder / "1/assets.extra/titles.tsv", id_type) == oracle.titles == titles_of(oracle.split.train)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"1\tA\nB\n", "line 2: there is no tab"), (b"x\tA\n", "line 1: 'x' is no id"), (b"1\t\xff\n", "not UTF-8")],
)
def test_titles_that_are_none(tmp_path, content, message):
    path = tmp_path / "titles.tsv"
    path.write_bytes(content)
    with pytest.raises(ServingError, match=message):
        read_titles(path, "int64")
    with pytest.raises(ServingError, match="none: no such file"):
        read_titles(tmp_path / "none", "int64")
