"""The four back-ends give the same answers, and those of a NumPy brute force."""

import numpy as np
import pytest
from served_models import PADDING

from gdns_tf.clients import InvalidRequest, Recommender
from gdns_tf.clients.splitting import parts_that_fit
from gdns_tf.serving.contract import SIGNATURES

UNKNOWN = {"int64": 77, "string": "nobody"}
BACKENDS = ("saved model", "in memory", "grpc", "rest")


@pytest.fixture
def backends(in_process, in_memory_models, servers, id_type):
    server = servers[id_type]
    return {
        "saved model": in_process[id_type].signatures,
        "in memory": in_memory_models[id_type],
        "grpc": Recommender.from_grpc(server.grpc_address).signatures,
        "rest": Recommender.from_rest(server.rest_address).signatures,
    }


@pytest.fixture(params=BACKENDS)
def signatures(request, backends, oracle):
    signatures = backends[request.param].with_titles(oracle.titles)
    yield signatures
    signatures.close()


def as_pairs(row):
    return [(entry.item, entry.score) for entry in row.entries]


@pytest.mark.parametrize("k", [1, 10, 11, 1000])
def test_recommend_is_the_brute_force_for_all_users(signatures, oracle, id_type, k):
    users = [*oracle.user_ids, UNKNOWN[id_type]]
    answer = signatures.recommend(users, k)
    assert answer.items.shape[1] == min(k, len(oracle.item_ids))
    for user, row in zip(users, answer, strict=True):
        assert row.query == user
        assert row.known == (user in oracle.user_ids)
        assert as_pairs(row) == oracle.recommend(user, k)
        assert all(entry.title == oracle.titles[entry.item] for entry in row.entries)


def test_recommend_with_lists(signatures, oracle, id_type):
    users = [*oracle.user_ids[:9], UNKNOWN[id_type]]
    exclude = {*oracle.item_ids[::3], UNKNOWN[id_type]}
    restrict_to = np.array([*oracle.item_ids[:40], UNKNOWN[id_type], oracle.item_ids[0]], object)
    for exclude_seen in (True, False):
        options = {"exclude_seen": exclude_seen, "exclude": exclude, "restrict_to": restrict_to}
        answer = signatures.recommend(users, 12, **options)
        for user, row in zip(users, answer, strict=True):
            assert as_pairs(row) == oracle.recommend(user, 12, **options)


def test_a_list_for_all_is_given_once_in_process(in_process, oracle, id_type, monkeypatch):
    signatures, shapes = in_process[id_type].signatures, {}
    call = signatures.backend.call

    def watched(name, inputs, outputs):
        shapes.update({name: value.shape for name, value in inputs.items()})
        return call(name, inputs, outputs)

    monkeypatch.setattr(signatures.backend, "call", watched)
    assert len(signatures.recommend(oracle.user_ids[:9], 3, exclude=oracle.item_ids[:5])) == 9
    assert (shapes["user_ids"], shapes["exclude_ids"], shapes["restrict_to"]) == ((9,), (1, 6), (1, 1))


def test_a_list_for_all_goes_with_every_part_of_what_is_split():
    inputs = {
        "user_ids": np.arange(50),
        "k": np.full(50, 5, np.int32),
        "exclude_seen": np.ones(50, bool),
        "exclude_ids": np.arange(90)[None],
        "restrict_to": np.arange(1)[None],
    }
    description = {"limits": {"users": 20, "entries": 100}, "k": 5, "num_items": 70}
    parts = parts_that_fit(SIGNATURES["retrieve"], inputs, description)
    assert [len(part["user_ids"]) for part in parts] == [20, 20, 10]
    assert all(part["exclude_ids"].shape == (1, 90) for part in parts)
    each = inputs | {"exclude_ids": np.arange(50 * 10).reshape(50, 10)}
    parts = parts_that_fit(SIGNATURES["retrieve"], each, description)
    assert [part["exclude_ids"].shape for part in parts] == [(10, 10)] * 5


def test_restricted_to_what_is_not_there(signatures, oracle, id_type):
    (row,) = signatures.recommend(oracle.user_ids[:1], 3, restrict_to=[UNKNOWN[id_type]])
    assert row.known
    assert row.entries == []


def test_rank(signatures, oracle, id_type):
    users, items = [*oracle.user_ids[:3], UNKNOWN[id_type]], [*oracle.item_ids[5:9], UNKNOWN[id_type]]
    answer = signatures.rank(users, items)
    expected = np.array([oracle.scores(user)[5:9] for user in users])
    np.testing.assert_array_equal(answer.scores[:, :4], expected)
    assert answer.known_item.tolist() == [[True] * 4 + [False]] * 4
    assert answer.known_user.tolist() == [True, True, True, False]
    own = signatures.rank(users[:2], [items[:2], items[2:4]])
    np.testing.assert_array_equal(own.scores, [expected[0, :2], expected[1, 2:4]])


def test_similar_items(signatures, oracle, id_type):
    answer = signatures.similar_items([oracle.item_ids[7], UNKNOWN[id_type]], 5)
    known, unknown = answer
    factors = oracle.factors.items.astype(np.float64) * oracle.factors.dimension_weights
    norms = np.linalg.norm(factors, axis=1)
    cosines = factors @ factors[7] / np.maximum(norms * norms[7], 1e-30)
    cosines[7] = -np.inf
    scores = [entry.score for entry in known.entries]
    np.testing.assert_allclose(scores, np.sort(cosines)[::-1][:5], rtol=1e-5)
    np.testing.assert_allclose(scores, [cosines[oracle.item_ids.index(e.item)] for e in known.entries], rtol=1e-5)
    assert not unknown.known
    assert unknown.entries == []


def test_history_of_known_unknown_and_no_items(signatures, oracle, id_type):
    liked = oracle.item_ids[3:6]
    answer = signatures.recommend_by_history([[*liked, UNKNOWN[id_type], liked[0]], [], [UNKNOWN[id_type]]], 8)
    known, empty, unknown = answer
    assert answer.known.tolist() == [True, False, False]
    assert answer.num_unknown.tolist() == [1, 0, 1]
    assert len(known.entries) == 8
    assert not {entry.item for entry in known.entries} & set(liked)
    assert as_pairs(empty) == as_pairs(unknown) == oracle.recommend(UNKNOWN[id_type], 8)


def test_history_is_the_same_by_all_backends(backends, oracle):
    histories = [oracle.item_ids[start : start + 4] for start in range(0, 40, 4)]
    answers = [backend.recommend_by_history(histories, 20) for backend in backends.values()]
    for answer in answers[1:]:
        assert answer.items.tolist() == answers[0].items.tolist()
        np.testing.assert_array_equal(answer.scores, answers[0].scores)


def test_nobody_asked(signatures, oracle):
    assert list(signatures.recommend([])) == []
    assert list(signatures.recommend([], 200, exclude=oracle.item_ids[:1])) == []
    assert list(signatures.similar_items([])) == []
    assert list(signatures.recommend_by_history([])) == []
    assert signatures.rank([], oracle.item_ids).scores.size == 0


def test_describe(signatures, oracle, id_type):
    about = signatures.describe()
    assert (about["model"], about["version"]) in (("gdns", 1), ("", None))  # in memory it has neither
    assert about["k"] == 10
    assert about["user_id_type"] == about["item_id_type"] == signatures.user_id_type == id_type
    assert about["num_items"] == len(oracle.item_ids)
    assert about["padding"]["item_id"] == PADDING[id_type]


def test_numbers_and_their_text_stand_for_each_other(models, in_process):
    oracle = models["int64"][1]
    user = oracle.user_ids[0]
    assert as_pairs(*in_process["int64"].signatures.recommend([str(user)], 3)) == oracle.recommend(user, 3)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda r: r.recommend([1], 0), "k must be at least 1, not 0"),
        (lambda r: r.recommend([1], 2.5), "k must be a whole number, not 2.5"),
        (lambda r: r.recommend(["Ann"]), "user id 'Ann' is not a whole number"),
        (lambda r: r.recommend([1.0]), "user id 1.0 is not a whole number"),
        (lambda r: r.recommend([2**63]), "does not fit in 64 bits"),
        (lambda r: r.recommend(1), "a list of user ids is needed, not 1"),
        (lambda r: r.recommend("12"), "a list of user ids is needed, not '12'"),
        (lambda r: r.recommend([1], exclude=["x"]), "item id 'x' is not a whole number"),
        (lambda r: r.rank([1, 2], [[1, 2], [3]]), "2 users need a list of items each, of equal length"),
        (lambda r: r.recommend([1], exclude=5), "a list of item ids is needed, not 5"),
        (lambda r: r.recommend([1], restrict_to="5"), "a list of item ids is needed, not '5'"),
        (lambda r: r.rank([1], 5), "a list of item ids is needed, not 5"),
        (lambda r: r.rank(1, [5]), "a list of user ids is needed, not 1"),
        (lambda r: r.similar_items(5), "a list of item ids is needed, not 5"),
        (lambda r: r.recommend_by_history([1, 2]), "histories must be lists of item ids"),
        (lambda r: r.recommend_by_history(1), "histories must be lists of item ids"),
    ],
)
def test_what_cannot_be_asked(in_process, ask, message):
    with pytest.raises(InvalidRequest, match=message):
        ask(in_process["int64"].signatures)


def test_text_ids_must_be_text(in_process):
    with pytest.raises(InvalidRequest, match=r"user id 1\.5 is not text"):
        in_process["string"].signatures.recommend([1.5])


def test_reasons_are_items_of_the_history_the_same_by_every_back_end(signatures, in_memory_models, oracle, id_type):
    users = [*oracle.user_ids[:6], UNKNOWN[id_type]]
    answer, ours = (each.recommend(users, 5, why=3) for each in (signatures, in_memory_models[id_type]))
    np.testing.assert_array_equal(answer.because, ours.because)
    for user, row in zip(users, answer, strict=True):
        assert as_pairs(row) == oracle.recommend(user, 5)
        seen = [oracle.item_ids[item] for item in oracle.seen[users.index(user)]] if row.known else []
        for entry in row.entries:
            assert {reason.item for reason in entry.because} <= set(seen)
            assert len(entry.because) == min(3, len(seen))
            assert [reason.title for reason in entry.because] == [oracle.titles[r.item] for r in entry.because]
            adds = [reason.contribution for reason in entry.because]
            assert adds == sorted(adds, reverse=True)


def test_lists_less_of_one_kind_are_chosen_among_the_best_candidates(signatures, oracle, id_type):
    rows = oracle.factors.items.astype(np.float64) * oracle.factors.dimension_weights
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)
    numbers = {item: number for number, item in enumerate(oracle.item_ids)}
    users = [*oracle.user_ids[:4], UNKNOWN[id_type]]
    plain = signatures.recommend(users, 8, mmr=0.0)
    for user, row, before in zip(users, signatures.recommend(users, 8, mmr=0.5), plain, strict=True):
        candidates = dict(oracle.recommend(user, 100))
        assert row.entries[0].item == before.entries[0].item
        assert all(entry.score == candidates[entry.item] for entry in row.entries)
        low, high = min(candidates.values()), max(candidates.values())
        relevance = {item: (score - low) / (high - low) for item, score in candidates.items()}
        likeness = dict.fromkeys(candidates, 0.0)
        for entry in row.entries:  # each is the best by the definition, or as good as it
            values = {item: 0.5 * relevance[item] - 0.5 * likeness[item] for item in candidates}
            assert values.pop(entry.item) >= max(values.values()) - 1e-5
            del candidates[entry.item]
            cosines = {item: float(unit[numbers[item]] @ unit[numbers[entry.item]]) for item in candidates}
            is_first = entry is row.entries[0]
            likeness = {item: cosine if is_first else max(cosine, likeness[item]) for item, cosine in cosines.items()}


@pytest.mark.parametrize("wrong", [{"mmr": 1.5}, {"mmr": "much"}, {"why": -1}, {"why": 0.5}])
def test_strengths_and_numbers_that_mean_nothing_are_refused(in_memory_models, wrong):
    with pytest.raises(InvalidRequest, match=next(iter(wrong))):
        in_memory_models["int64"].recommend([1], **wrong)
