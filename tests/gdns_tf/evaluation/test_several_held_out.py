"""Ranking where users have several held-out items, or none: by brute force, and by irspack of the same scores."""

import numpy as np
import pytest
from scipy import sparse
from toy import toy_interactions

from gdns_tf.evaluation import metrics, ranking
from gdns_tf.evaluation.beyond_accuracy import beyond_accuracy_of
from gdns_tf.evaluation.item_weights import ItemWeights
from gdns_tf.evaluation.ranking import evaluate
from gdns_tf.evaluation.selection import SelectionMetric
from gdns_tf.models.factors import Factors
from pipelines.held_out import HeldOut
from pipelines.split import Split

USERS, ITEMS = 30, 60


def make_split():
    """Users with up to five validation and seven test items; some are not evaluated in one of the two."""
    rng = np.random.default_rng(4)
    train = toy_interactions(USERS, ITEMS, fewest=4)
    pools = [rng.permutation(np.setdiff1d(np.arange(ITEMS), train.of(user))) for user in range(USERS)]

    def part(start, most, users):
        counts = rng.integers(1, most + 1, len(users))
        items = [pools[user][start : start + count] for user, count in zip(users, counts, strict=True)]
        held = HeldOut.of_pairs(np.repeat(users, counts), np.concatenate(items))
        return held.with_negatives(np.array([pools[user][12:27] for user in users], np.int32))

    everybody = np.arange(USERS)
    return Split("several", train, part(0, 5, everybody[everybody % 7 > 0]), part(5, 7, everybody[2:]))


SPLIT = make_split()


def whole_factors():
    """Whole numbers, so that scores are exact and tie often."""
    rng = np.random.default_rng(1)
    return Factors(rng.integers(-2, 3, (USERS, 4)), rng.integers(-1, 2, (ITEMS, 4)))


def weights():
    rows = sparse.csr_matrix((np.ones(len(SPLIT.train.items), np.float32), SPLIT.train.items, SPLIT.train.offsets))
    return ItemWeights(rows, np.random.default_rng(2).integers(-1, 2, (ITEMS, ITEMS)).astype(np.float32))


MODELS = {"factors": whole_factors(), "weights": weights()}


def scores_of(model):
    if isinstance(model, Factors):
        return model.queries.astype(np.float64) @ model.items.T
    return model.scores(np.arange(USERS)).astype(np.float64)


def ideal_places(part, user, scores, candidates, ties):
    """Where a user's items stand when all are sorted, ties against the held-out ones or for them."""
    mine = set(part.of(user).tolist())
    against = 1 if ties == "pessimistic" else -1
    ranked = sorted([*candidates, *mine], key=lambda item: (-scores[item], against * (item in mine)))
    return [place for place, item in enumerate(ranked) if item in mine]


@pytest.fixture(params=[50, 10**6])
def block(request, monkeypatch):
    monkeypatch.setattr(ranking, "_LARGE", request.param)
    monkeypatch.setattr(ranking, "_CACHED", request.param)


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("ties", ranking.TIES)
@pytest.mark.parametrize("held_out", ranking.SPLITS)
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_places_by_brute_force(model, held_out, ties):
    part, scores = getattr(SPLIT, held_out), scores_of(model)
    sampled, full = (evaluate(model, SPLIT, held_out, protocol, ties) for protocol in ranking.PROTOCOLS)
    assert sampled.users.tolist() == full.users.tolist() == part.users.tolist()
    for row, user in enumerate(part.users):
        own = slice(part.offsets[row], part.offsets[row + 1])
        expected = ideal_places(part, user, scores[user], part.negatives[row].tolist(), ties)
        assert sampled.ranks.places[own].tolist() == expected
        known = {*SPLIT.train.of(user), *(SPLIT.valid.of(user) if held_out == "test" else ()), *part.of(user)}
        expected = ideal_places(part, user, scores[user], set(range(ITEMS)) - known, ties)
        assert full.ranks.places[own].tolist() == expected


def test_the_full_protocol_is_that_of_irspack():
    irspack = pytest.importorskip("irspack")
    rng = np.random.default_rng(0)
    factors = Factors(rng.normal(size=(USERS, 5)), rng.normal(size=(ITEMS, 5)))

    def matrix(*pairs):
        users, items = (np.concatenate(arrays) for arrays in zip(*pairs, strict=True))
        return sparse.csr_matrix((np.ones(len(users)), (users, items)), (USERS, ITEMS))

    known = matrix((SPLIT.train.users, SPLIT.train.items), SPLIT.valid.pairs)
    evaluator = irspack.Evaluator(matrix(SPLIT.test.pairs), masked_interactions=known, n_threads=1)
    for k in (1, 4, 20):
        evaluator.cutoff = k
        theirs = evaluator.get_score_from_score_matrix(scores_of(factors))
        ours = evaluate(factors, SPLIT, "test", "full", ks=[k]).means()
        # irspack's means are over users with held-out items, as ours are.
        for name, their_name in (("ndcg", "ndcg"), ("recall", "recall"), ("precision", "precision"), ("hr", "hit")):
            assert ours[f"{name}@{k}"] == pytest.approx(theirs[their_name])
        shown = beyond_accuracy_of(factors, SPLIT, "test", k)
        assert shown[f"coverage@{k}"] == pytest.approx(theirs["catalog_coverage"])
        assert shown[f"gini@{k}"] == pytest.approx(theirs["gini_index"])
    assert ours["map@20"] == pytest.approx(theirs["map"])  # which irspack divides by n also where k is less


def test_not_a_number_puts_all_held_out_items_last():
    factors = whole_factors()
    factors.queries[3] = np.nan
    report = evaluate(factors, SPLIT, "test")
    row = report.users.tolist().index(3)
    own = report.ranks.places[report.ranks.offsets[row] : report.ranks.offsets[row + 1]]
    assert own.tolist() == list(range(15, 15 + len(own)))


@pytest.mark.parametrize("name", ["map@5", "hr@3", "precision@2", "full_recall@10", "mrr"])
def test_weights_are_selected_by_any_of_them(name):
    model, metric = MODELS["factors"], SelectionMetric(name)
    report = evaluate(model, SPLIT, "valid", metric.protocol, ks=[2, 3, 5, 10])
    assert metric.of(model, SPLIT) == report.means()[metric.bare]


def test_the_same_metrics_are_told_of_both_parts():
    one = Split("one", SPLIT.train, HeldOut.of_pairs(*np.array([[0, 1], [58, 59]])), SPLIT.test)
    reports = [evaluate(MODELS["factors"], one, part, "full") for part in ranking.SPLITS]
    assert list(reports[0].means()) == list(reports[1].means()) == metrics.names((1, 3, 10), several=True)
