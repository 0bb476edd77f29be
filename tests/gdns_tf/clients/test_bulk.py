"""All users of a model, into one file of each kind."""

import csv
import json

import pyarrow.parquet
import pytest

from gdns_tf.clients import bulk
from gdns_tf.clients.bulk import recommend_everyone
from gdns_tf.clients.errors import Unavailable
from pipelines.errors import InputError


@pytest.fixture
def everyone(models, in_process, id_type, tmp_path):
    """Writes recommendations for all users; returns the file."""

    def write(name, **options):
        users = models[id_type][0] / "1/assets/user_ids.txt"
        count = recommend_everyone(in_process[id_type].signatures, users, tmp_path / name, 6, 7, **options)
        assert count == 40
        assert [path.name for path in tmp_path.iterdir()] == [name]
        return tmp_path / name

    return write


def expected(oracle, **options):
    return [
        (user, rank, item, score, oracle.titles[item])
        for user in oracle.user_ids
        for rank, (item, score) in enumerate(oracle.recommend(user, 6, **options), start=1)
    ]


@pytest.mark.parametrize("row_group", [1, 100_000])
def test_parquet(everyone, oracle, id_type, monkeypatch, row_group):
    monkeypatch.setattr(bulk, "_ROW_GROUP", row_group)
    table = pyarrow.parquet.read_table(everyone("recs.parquet"))
    assert list(zip(*(column.to_pylist() for column in table.columns), strict=True)) == expected(oracle)
    assert [str(kind) for kind in table.schema.types] == [id_type, "int32", id_type, "float", "string"]
    assert table.column_names == ["user_id", "rank", "item_id", "score", "title"]


def test_csv(everyone, oracle):
    options = {"exclude_seen": False, "exclude": oracle.item_ids[:5]}
    with everyone("recs.csv", **options).open(encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file)
    assert header == ["user_id", "rank", "item_id", "score", "title"]
    assert lines == [list(map(str, row)) for row in expected(oracle, **options)]


def test_json_lines(everyone, oracle):
    options = {"restrict_to": oracle.item_ids[:5]}
    lines = [json.loads(line) for line in everyone("recs.jsonl", **options).read_text("utf-8").splitlines()]
    assert [line["user_id"] for line in lines] == oracle.user_ids
    for line in lines:
        assert line["known_user"]
        pairs = [(entry["item_id"], entry["score"]) for entry in line["items"]]
        assert pairs == oracle.recommend(line["user_id"], 6, **options)
        assert all(entry["title"] == oracle.titles[entry["item_id"]] for entry in line["items"])


def test_a_model_that_fails_leaves_the_former_file(models, tmp_path):
    class Failing:
        user_id_type = item_id_type = "int64"

        def recommend(self, *_, **__):
            raise Unavailable("gone")

    (tmp_path / "recs.parquet").write_text("former")
    users = models["int64"][0] / "1/assets/user_ids.txt"
    with pytest.raises(Unavailable):
        recommend_everyone(Failing(), users, tmp_path / "recs.parquet", 6, 7)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("recs.parquet", "former")]


def test_a_damaged_file_of_ids_is_named_with_its_line(in_process, tmp_path):
    (tmp_path / "ids.txt").write_bytes(b"1000\n\xff\n")
    with pytest.raises(InputError, match=r"ids.txt, line 2: an id that is not UTF-8"):
        recommend_everyone(in_process["int64"].signatures, tmp_path / "ids.txt", tmp_path / "recs.csv", 6, 7)
    assert not (tmp_path / "recs.csv").exists()
