"""What speaks against serving a model: collapsed ones one by one, and figures by loops."""

from dataclasses import replace

import numpy as np
import pytest
from collapsed_models import COLLAPSED, good

from gdns_tf.evaluation.baselines import popularity
from gdns_tf.evaluation.degenerate import degeneracy
from gdns_tf.evaluation.fitness import no_better_than_popularity, objections
from gdns_tf.models.factors import Factors
from pipelines.config import DataConfig
from pipelines.load import load_dataset

SPLIT = load_dataset(DataConfig(planted_users=200, planted_items=150))


def ndcg_at_3(factors):
    """Of validation, user by user: by the definition, ties and what is no number against the held-out item."""
    found = []
    for user, (held_out, negatives) in enumerate(zip(SPLIT.valid.items, SPLIT.valid.negatives, strict=True)):
        scores = factors.items.astype(np.float64) @ factors.queries[user].astype(np.float64)
        above = sum(not scores[item] < scores[held_out] for item in negatives)
        found.append(1 / np.log2(above + 2) if above < 3 else 0.0)
    return np.array(found)


def test_a_model_that_works_passes():
    assert objections(good(SPLIT), SPLIT, "ndcg@3") == []
    assert objections(good(SPLIT), SPLIT, "full_ndcg@20") == []


@pytest.mark.parametrize("name", COLLAPSED)
def test_a_collapsed_model_is_told_as_what_it_is(name):
    make, told = COLLAPSED[name]
    assert any(told in clause for clause in objections(make(SPLIT), SPLIT, "ndcg@3"))


def test_the_figures_are_those_of_the_definition():
    backwards = replace(good(SPLIT), items=-good(SPLIT).items)
    ours, theirs = ndcg_at_3(backwards), ndcg_at_3(popularity(SPLIT.train))
    assert ours.mean() < theirs.mean()
    text = no_better_than_popularity(backwards, SPLIT, "ndcg@3")
    assert text == f"validation ndcg@3 is {ours.mean():.4f}, and that of popularity {theirs.mean():.4f}"


def test_it_says_where_a_difference_may_be_chance():
    factors = popularity(SPLIT.train)
    noise = np.random.default_rng(2).normal(0, 2, factors.items.shape)
    nearly = replace(factors, items=factors.items + noise)
    ours, theirs = ndcg_at_3(nearly), ndcg_at_3(factors)
    difference, error = (ours - theirs).mean(), (ours - theirs).std(ddof=1) / np.sqrt(200)
    assert -2 * error < difference <= 0
    told = f"(over 200 users the difference may be chance: {difference:+.4f}, standard error {error:.4f})"
    assert told in no_better_than_popularity(nearly, SPLIT, "ndcg@3")


def test_popularity_is_no_better_than_itself():
    assert len(objections(popularity(SPLIT.train), SPLIT, "ndcg@3")) == 2


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_the_size_of_scores_plays_no_part(scale):
    assert degeneracy(replace(good(SPLIT), items=scale * good(SPLIT).items)) == ""


def test_scores_that_differ_by_less_than_float32_holds_are_alike():
    """A bias, the same for all items, that drowns what tells them apart."""
    factors, bias = good(SPLIT), 1e9
    users = np.column_stack([factors.queries, np.full(200, bias)])
    items = np.column_stack([factors.items, np.ones(150)])
    assert degeneracy(Factors(users, items)) == "all items score alike"
    users[:, -1] = 1e3  # which leaves three digits and more
    assert degeneracy(Factors(users, items)) == ""


def test_a_few_users_of_whom_nothing_is_known_do_not_count():
    queries = good(SPLIT).queries.copy()
    queries[:90] = 0
    assert degeneracy(replace(good(SPLIT), queries=queries)) == ""
    queries[90:110] = 0
    assert degeneracy(replace(good(SPLIT), queries=queries)) == "all items score alike"


def test_two_users_with_two_lists_are_no_collapse():
    factors = good(SPLIT)
    assert degeneracy(replace(factors, queries=factors.queries[:2])) == ""


def test_users_are_looked_at_all_over_the_data_and_in_blocks(monkeypatch):
    monkeypatch.setattr("gdns_tf.evaluation.degenerate._FLOATS_AT_ONCE", 4 * 150)
    monkeypatch.setattr("gdns_tf.evaluation.degenerate._USERS", 50)
    assert degeneracy(good(SPLIT)) == ""
    assert degeneracy(COLLAPSED["the same list for all"][0](SPLIT)) == "every user gets the same list"
    queries = good(SPLIT).queries.copy()
    queries[100:] = queries[0]
    assert degeneracy(replace(good(SPLIT), queries=queries)) == ""
