"""Raw ids that are text: as long as they are, exactly as they are, against Python's own dictionaries and sorting."""

import random

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipelines.dataset import Dataset
from pipelines.errors import InputError
from pipelines.interactions import Ratings, from_ratings
from pipelines.raw_ids import MAX_ID_BYTES, IdColumn, as_text, codes_of, is_text, joined, ranks_of, take, text_array
from pipelines.titles import MAX_TITLE_CHARACTERS, title_array

WORDS = ["b", "", "ab", "é", "日本", "a\0", "a", "a" * 2000, "\U0001f600"]


def column(words: list[str]) -> IdColumn:
    different = list(dict.fromkeys(words))[::-1]
    return IdColumn(text_array(different), np.array([different.index(word) for word in words], np.int32))


@pytest.mark.parametrize("make", [text_array, column])
def test_codes_and_ranks_are_those_of_the_words(make):
    words = random.Random(0).choices(WORDS, k=60)
    ids = make(words)
    assert is_text(ids)
    assert ids.tolist() == words
    assert len(ids) == 60
    code = dict(zip(words, codes_of(ids).tolist(), strict=True))
    assert codes_of(ids).tolist() == [code[word] for word in words]
    assert len(set(code.values())) == len(set(words))
    place = {word: rank for rank, word in enumerate(sorted(set(words)))}
    assert ranks_of(ids).tolist() == [place[word] for word in words]
    rows = np.array([3, 3, 59])
    assert take(ids, rows).tolist() == ids[rows].tolist() == [words[row] for row in rows]


def test_joined_is_text_where_one_part_is():
    numbers, words = np.array([7, 42, 7]), ["x", "7", "x"]
    assert joined([numbers, numbers]).tolist() == [7, 42, 7, 7, 42, 7]
    for ids in (text_array(words), column(words)):
        found = joined([numbers, ids, numbers])
        assert found.tolist() == ["7", "42", "7", *words, "7", "42", "7"]
        assert codes_of(found).tolist() == codes_of(text_array(found.tolist())).tolist()
    assert as_text(numbers).tolist() == ["7", "42", "7"]


@pytest.mark.parametrize("choice", ["first", "last"])
def test_interactions_do_not_depend_on_how_ids_are_kept(choice):
    rng = random.Random(1)
    users, items = rng.choices(WORDS, k=400), rng.choices([f"i{n}" for n in range(40)], k=400)
    times = np.array([rng.randrange(50) for _ in users], np.float64)
    made = [
        from_ratings(Ratings(make(users), make(items), timestamps=times), min_user_items=3, duplicates=choice)
        for make in (np.array, text_array, column)
    ]
    for name in ("offsets", "items", "timestamps"):
        assert np.array_equal(getattr(made[1], name), getattr(made[2], name))
    assert made[1].user_ids.tolist() == made[2].user_ids.tolist()
    assert set(made[1].user_ids) == set(WORDS)
    assert len(made[0].user_ids) == len(WORDS) - 1, "NumPy's own text drops NULs at the end: what all this is for"


def frame(user: str) -> pd.DataFrame:
    users = [*(f"u{n}" for n in range(30)), user]
    rows = [(each, f"i{7 * n + k}") for n, each in enumerate(users) for k in range(7)]
    return pd.DataFrame(rows, columns=["user", "item"])


@pytest.mark.parametrize(
    ("user", "says"),
    [
        ("u1\0", "user 'u1\\x00' in row 211 of the data is an id with a NUL"),
        ("x" * (MAX_ID_BYTES + 1), "in row 211 of the data is an id of more than 1,024 bytes"),
        ("9" * 5000, "in row 211 of the data is an id of more than 1,024 bytes"),
        ("é" * (MAX_ID_BYTES // 2), ""),
    ],
)
@pytest.mark.parametrize("make", [pd.DataFrame, pa.Table.from_pandas])
def test_ids_that_are_too_long_or_hold_a_nul(user, says, make):
    table = make(frame(user))
    if not says:
        assert user in Dataset.from_dataframe(table).train.user_ids
        return
    with pytest.raises(InputError) as raised:
        Dataset.from_dataframe(table)
    assert says in str(raised.value)
    assert len(str(raised.value)) < 500


def test_titles_that_are_too_long_are_cut_and_it_is_said(caplog):
    titles = ["short", "é" * (MAX_TITLE_CHARACTERS + 1), ""]
    assert title_array(titles, "x.csv").tolist() == ["short", "é" * MAX_TITLE_CHARACTERS, ""]
    assert "x.csv: 1 title(s) are cut to their first 1,000 characters" in caplog.text
