"""RecBole's atomic files."""

import pytest

from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.readers import reader


def read(path):
    return reader("inter").read(path, DataConfig(dataset="inter", data_dir=str(path)))


def test_columns_in_any_order_with_others_between(tmp_path):
    (tmp_path / "x.inter").write_text(
        "timestamp:float\tseen:float_seq\titem_id:token\trating:float\tuser_id:token\n"
        "8e8\t1 2\t7\t3.5\t1\n9e8\t\t8\t4\t2\n"
    )
    (tmp_path / "x.item").write_text(
        'class:token_seq\titem_id:token\tmovie_title:token_seq\na\t7\tSeven "7"\n\t8\tÉté\r\n'
    )
    for path in (tmp_path, tmp_path / "x.inter"):
        ratings = read(path)
        assert (ratings.users.tolist(), ratings.items.tolist()) == ([1, 2], [7, 8])
        assert (ratings.ratings.tolist(), ratings.timestamps.tolist()) == ([3.5, 4.0], [8e8, 9e8])
        assert ratings.titles == {7: 'Seven "7"', 8: "Été"}


def test_only_ids_and_those_are_words(tmp_path):
    (tmp_path / "x.inter").write_text("user_id:token\titem_id:token\nann\t7\nbob\tB00\n")
    (tmp_path / "x.item").write_text("item_id:token\ttitle:token_seq\n7\tSeven\nB00\tBook\n")
    ratings = read(tmp_path)
    assert (ratings.users.tolist(), ratings.items.tolist()) == (["ann", "bob"], ["7", "B00"])
    assert ratings.ratings is None
    assert ratings.timestamps is None
    assert ratings.titles == {"7": "Seven", "B00": "Book"}


def test_item_file_without_titles_or_malformed(tmp_path):
    (tmp_path / "x.inter").write_text("user_id:token\titem_id:token\n1\t7\n")
    (tmp_path / "x.item").write_text("item_id:token\tprice:float\n7\t3\n")
    assert read(tmp_path).titles == {}
    (tmp_path / "x.item").write_text("item_id:token\ttitle:token_seq\n\n7\n")
    with pytest.raises(InputError) as raised:
        read(tmp_path)
    assert (raised.value.path, raised.value.line) == (str(tmp_path / "x.item"), 3)


def test_two_files_in_the_folder(tmp_path):
    for name in ("a.inter", "b.inter"):
        (tmp_path / name).write_text("user_id:token\titem_id:token\n1\t7\n")
    with pytest.raises(InputError, match=r"2 \.inter files .*'a\.inter', 'b\.inter'"):
        read(tmp_path)
