"""The code on savedmodel/RETRIEVAL.md runs and finds what an exact search finds."""

import re
from pathlib import Path

import numpy as np
import pytest
from planted_runs import make_run, random_factors

from gdns_tf.evaluation.top_items import top_items
from pipelines.config import DataConfig
from pipelines.interactions import Interactions
from pipelines.load import load_dataset

PAGE = Path(__file__).parents[1] / "savedmodel" / "RETRIEVAL.md"


@pytest.fixture
def model(tmp_path, monkeypatch):
    data = DataConfig(dataset="planted", planted_users=20, planted_items=700)
    dataset = load_dataset(data)
    factors = random_factors(dataset)
    make_run(tmp_path / "runs/ml1m", data, dataset, factors)
    monkeypatch.chdir(tmp_path)
    return factors


@pytest.mark.parametrize("library", ["hnswlib", "faiss"])
def test_code_of_the_page_finds_the_best_unseen_items(model, library):
    pytest.importorskip(library, reason="pip install 'gdns_tf[bench]'")
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    others = {"hnswlib", "faiss"} - {library}
    code = [block for block in blocks if not any(f"import {other}" in block for other in others)]
    assert len(code) == 4
    names = {}
    for block in code:
        exec(block, names)
    if library == "faiss":  # its recall on random vectors says nothing; with all lists it must be exact
        names["index"].nprobe = names["index"].nlist

    rng = np.random.default_rng(1)
    counts = np.array([0, 3, 50, 200, 1, 695])
    items = np.concatenate([rng.choice(700, count, replace=False) for count in counts]).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    seen = Interactions(offsets, items, user_ids=np.arange(6), item_ids=np.arange(700))
    users = np.array([5, 0, 3, 2, 1, 4])
    found = names["recommend"](model.queries[users], [seen.of(user) for user in users], 10)
    exact = top_items(model, seen, users, 10)
    for row, user in enumerate(users):
        assert not np.isin(seen.of(user), found[row]).any()
        expected = exact[row][exact[row] >= 0]
        assert len(np.intersect1d(found[row], expected)) >= len(expected) - (library == "hnswlib")
        assert (found[row] >= 0).sum() <= len(expected)

    query = names["query_of"]([4, 8, 4])
    assert query.shape == (1, 8)
    assert (query @ model.items[[4, 8]].T > np.median(query @ model.items.T)).all()
