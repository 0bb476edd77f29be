"""Ranks under both protocols, against a brute-force loop, scikit-learn and SRNS's published models."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from one_each import full_ranks, sampled_ranks
from sklearn.metrics import ndcg_score, top_k_accuracy_score

from gdns_tf.evaluation import ranking
from gdns_tf.evaluation.ranking import evaluate
from gdns_tf.models.factors import Factors
from gdns_tf.models.weights_file import load_weights
from pipelines.errors import InputError
from pipelines.held_out import HeldOut
from pipelines.interactions import Interactions
from pipelines.readers import srns
from pipelines.split import Split

SRNS = Path(__file__).parents[3] / "../shared/data/srns"


def random_factors(num_users, num_items, dim, seed=0):
    rng = np.random.default_rng(seed)
    return Factors(rng.normal(size=(num_users, dim)), rng.normal(size=(num_items, dim)), rng.normal(size=dim))


def rows_of(lists):
    """Compressed sparse rows of a list of lists."""
    flat = [item for row in lists for item in row]
    return np.cumsum([0, *map(len, lists)]), np.array(flat, np.int32)


def exact_rank(query, factors, target, others, ties):
    """One rank in exact arithmetic."""

    def score(item):
        return sum(Fraction(float(q)) * Fraction(float(f)) for q, f in zip(query, factors[item], strict=True))

    wanted = score(target)
    return sum(score(other) > wanted or (ties == "pessimistic" and score(other) == wanted) for other in others)


def tied_factors():
    """Small whole factors, many items equal: ties abound, between equal and between different factors."""
    rng = np.random.default_rng(1)
    return Factors(rng.integers(-2, 3, (30, 8)), rng.integers(-1, 2, (41, 8))[rng.integers(0, 41, 41)])


@pytest.mark.parametrize("ties", ranking.TIES)
@pytest.mark.parametrize("factors", [random_factors(30, 41, 8), tied_factors()], ids=["distinct", "tied"])
class TestAgainstBruteForce:
    def test_sampled(self, factors, ties):
        rng = np.random.default_rng(2)
        items, negatives = rng.integers(0, 41, 30), rng.integers(0, 41, (30, 25))  # with repeats
        expected = [exact_rank(factors.queries[u], factors.items, items[u], negatives[u], ties) for u in range(30)]
        assert sampled_ranks(factors, items, negatives, ties).tolist() == expected

    def test_full_with_overlapping_masks(self, factors, ties):
        rng = np.random.default_rng(3)
        items = rng.integers(0, 41, 30)
        masks = [[rng.choice(41, rng.integers(0, 20), replace=False).tolist() for _ in range(30)] for _ in range(2)]
        expected = []
        for user in range(30):
            others = set(range(41)) - {*masks[0][user], *masks[1][user], items[user]}
            expected.append(exact_rank(factors.queries[user], factors.items, items[user], others, ties))
        assert full_ranks(factors, items, [rows_of(mask) for mask in masks], ties).tolist() == expected


@pytest.mark.parametrize("dim", [1, 7, 8, 32, 100])
@pytest.mark.parametrize("num_items", [17, 777])
def test_equal_factors_tie_whatever_blas_does(dim, num_items):
    rng = np.random.default_rng(0)
    item = rng.normal(size=dim)
    factors = Factors(rng.normal(size=(64, dim)), np.tile(item, (num_items, 1)))
    items, negatives = rng.integers(0, num_items, 64), rng.integers(0, num_items, (64, 10))
    assert (full_ranks(factors, items, ties="pessimistic") == num_items - 1).all()
    assert (full_ranks(factors, items, ties="optimistic") == 0).all()
    assert (sampled_ranks(factors, items, negatives, "pessimistic") == 10).all()
    assert (sampled_ranks(factors, items, negatives, "optimistic") == 0).all()


@pytest.mark.parametrize("scale", [1e-22, 1e-15, 1e18, 1e25])
def test_scores_outside_the_range_of_float32_are_ranked(scale):
    factors = random_factors(20, 50, 4)
    extreme = Factors(factors.queries * scale, factors.items * scale)
    items = np.arange(20)
    np.testing.assert_array_equal(full_ranks(extreme, items), full_ranks(factors, items))


def test_what_is_not_a_number_takes_last_place():
    factors = random_factors(4, 6, 3)
    factors.queries[1, 0] = np.nan
    factors.queries[2] = [np.inf, -np.inf, 0]
    items, masked = np.zeros(4, int), rows_of([[], [1, 2], [5], [1, 2, 3]])
    negatives = np.tile([1, 2, 3], (4, 1))
    clean = random_factors(4, 6, 3)
    ranks = full_ranks(factors, items, [masked, masked])
    assert ranks[[1, 2]].tolist() == [3, 4]
    assert ranks[[0, 3]].tolist() == full_ranks(clean, items, [masked])[[0, 3]].tolist()
    assert sampled_ranks(factors, items, negatives)[[1, 2]].tolist() == [3, 3]
    assert sampled_ranks(factors, items, negatives, "optimistic")[1] == 0

    clean.items[3] = np.nan  # an item that user 3 alone has masked
    assert full_ranks(clean, items, [masked])[:3].tolist() == [5, 3, 4]
    assert full_ranks(clean, items, [masked])[3] == full_ranks(random_factors(4, 6, 3), items, [masked])[3]
    assert sampled_ranks(clean, items, negatives).tolist() == [3, 3, 3, 3]


@pytest.mark.parametrize("size", [1, 40, 4000])
def test_ranks_do_not_depend_on_the_blocks(monkeypatch, size):
    factors = random_factors(50, 40, 5)
    items, negatives = np.arange(50) % 40, np.random.default_rng(0).integers(0, 40, (50, 30))
    masked = [rows_of([[(user + 1) % 40] for user in range(50)])]
    expected = full_ranks(factors, items, masked), sampled_ranks(factors, items, negatives)
    monkeypatch.setattr(ranking, "_CACHED", size)
    monkeypatch.setattr(ranking, "_LARGE", size)
    np.testing.assert_array_equal(full_ranks(factors, items, masked), expected[0])
    np.testing.assert_array_equal(sampled_ranks(factors, items, negatives), expected[1])


def small_dataset(num_users=40, num_items=60):
    rng = np.random.default_rng(5)
    taken = [rng.permutation(num_items)[:20] for _ in range(num_users)]
    offsets, items = rows_of([row[2:10] for row in taken])
    valid, test = (np.array([row[place] for row in taken], np.int32) for place in (0, 1))
    negatives = np.array([row[10:] for row in taken], np.int32)
    train = Interactions(offsets, items, np.arange(num_users), np.arange(num_items))
    return Split("small", train, HeldOut.one_each(valid, negatives), HeldOut.one_each(test, negatives[:, ::-1]))


@pytest.mark.parametrize("split", ranking.SPLITS)
def test_full_protocol_agrees_with_scikit_learn(split):
    dataset, factors = small_dataset(), random_factors(40, 60, 6)
    scores = np.einsum("uk,ik->ui", factors.queries, factors.items, dtype=np.float64)
    held_out = getattr(dataset, split).items
    for user in range(40):
        scores[user, dataset.train.of(user)] = -1e6  # scikit-learn takes no -inf
        if split == "test":
            scores[user, dataset.valid.of(user)] = -1e6
    relevance = np.zeros((40, 60))
    relevance[np.arange(40), held_out] = 1
    means = evaluate(factors, dataset, split, "full", ks=(1, 5, 30)).means()
    for k in (1, 5, 30):
        assert means[f"ndcg@{k}"] == pytest.approx(ndcg_score(relevance, scores, k=k))
        assert means[f"recall@{k}"] == pytest.approx(top_k_accuracy_score(held_out, scores, k=k, labels=range(60)))


def test_sampled_protocol_takes_the_negatives_of_its_split():
    dataset, factors = small_dataset(), random_factors(40, 60, 6)
    report = evaluate(factors, dataset, "test", ties="optimistic", ks=[2])
    expected = sampled_ranks(factors, dataset.test.items, dataset.test.negatives, "optimistic")
    np.testing.assert_array_equal(report.ranks.places, expected)
    assert (report.split, report.protocol, report.ties, report.ks) == ("test", "sampled", "optimistic", (2,))


def test_wrong_arguments_are_named():
    dataset, factors = small_dataset(), random_factors(40, 60, 6)
    with pytest.raises(InputError, match="of 40 users and 61 items, but small has 40 users and 60 items"):
        evaluate(random_factors(40, 61, 6), dataset)
    for wrong in ({"split": "train"}, {"protocol": "half"}, {"ties": "random"}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}(=.* is not known| must be one of)"):
            evaluate(factors, dataset, **wrong)


def test_only_rows_of_rounding_are_padding():
    factors = random_factors(3, 5, 2)
    padded = Factors(factors.queries, np.vstack([factors.items, [[1e-16, -1e-16]]]))
    np.testing.assert_array_equal(padded.without_padding(5).items, factors.items)
    assert factors.without_padding(4).num_items == 5
    assert padded.without_padding(6).num_items == 6


@pytest.fixture(scope="module")
def srns_dataset():
    if not SRNS.is_dir():
        pytest.skip(f"SRNS's data and published models are not at {SRNS}")
    return srns.read(SRNS / "ml1m")


@pytest.mark.parametrize(
    ("model", "ndcg_1", "ndcg_3", "recall_3"),
    [
        ("uniform", 0.1744, 0.2846, 0.3663),
        ("nncf", 0.0831, 0.1428, 0.1873),
        ("aobpr", 0.1782, 0.2907, 0.3749),
        ("irgan", 0.1763, 0.2878, 0.3706),
        ("rns", 0.1810, 0.2950, 0.3801),
        ("advir", 0.1792, 0.2889, 0.3699),
        ("enmf", 0.1846, 0.2970, 0.3804),
        ("srns", 0.1911, 0.3056, 0.3907),
    ],
)
def test_published_models_score_as_published(srns_dataset, model, ndcg_1, ndcg_3, recall_3):
    path = SRNS / "weights" / f"{model}.npz"
    factors = load_weights(path).factors(srns_dataset.train).without_padding(srns_dataset.train.num_items)
    means = evaluate(factors, srns_dataset, "test", "sampled", "optimistic", ks=(1, 3)).means()
    assert [round(means[name], 4) for name in ("ndcg@1", "ndcg@3", "recall@3")] == [ndcg_1, ndcg_3, recall_3]
