"""Every signature, in a process that can import nothing but TensorFlow, against brute force in NumPy."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
from brute_force import assert_best, ranking, scores_of, seen_by, unseen

LOWEST = np.finfo(np.float32).min
NO_SUCH = {"int64": 10**12, "string": "no such id"}


@dataclass
class Ids:
    """Raw ids of one model as arrays of the signature's type."""

    served: object

    def __post_init__(self):
        train = self.served.dataset.train
        self.kind = "int64" if train.item_ids.dtype.kind == "i" else "string"
        self.padding = -1 if self.kind == "int64" else ""
        self.number_of = {raw_id: number for number, raw_id in enumerate(train.item_ids.tolist())}

    def _array(self, values, shape):
        return np.array(values, np.int64 if self.kind == "int64" else object).reshape(shape)

    def users(self, numbers):
        known = self.served.dataset.train.user_ids.tolist()
        return self._array([known[n] if n >= 0 else NO_SUCH[self.kind] for n in numbers], [len(numbers)])

    def items(self, numbers):
        """[rows, width] of item numbers; -1 is padding, -2 an unknown id."""
        known = self.served.dataset.train.item_ids.tolist()
        special = {-1: self.padding, -2: NO_SUCH[self.kind]}
        numbers = np.array(numbers, np.int64)
        return self._array([special[n] if n < 0 else known[n] for n in numbers.ravel().tolist()], numbers.shape)

    def numbers(self, answer):
        """Item numbers of an answer, -1 for padding; an id that never was fails."""
        words = answer if self.kind == "int64" else np.vectorize(bytes.decode, otypes=[object])(answer)
        table = self.number_of | {self.padding: -1}
        return np.array([table[raw_id] for raw_id in words.ravel().tolist()], np.int64).reshape(answer.shape)


def count(*k):
    return np.array(k, np.int32)


def requests_for(ids):
    """Name -> (signature, inputs)."""
    users = ids.users
    everyone = range(ids.served.dataset.train.num_users)
    none = ids.items(np.zeros((1, 0)))
    narrow = [[3, 7, 11, -1], [-2, -1, -1, -1], [-1, -1, -1, -1], [5, 5, -2, 0]]

    def retrieve(user_numbers, k, seen=(True,), exclude=none, restrict=none):
        return "retrieve", {
            "user_ids": users(user_numbers),
            "k": count(*k),
            "exclude_seen": np.array(seen, bool),
            "exclude_ids": exclude,
            "restrict_to": restrict,
        }

    return {
        "default": ("serving_default", {"user_ids": users(everyone)}),
        "default, some unknown": ("serving_default", {"user_ids": users([5, -1, 5, -1, 0])}),
        "default, empty": ("serving_default", {"user_ids": users([])}),
        "retrieve, all defaults": retrieve(everyone, [10]),
        "retrieve, with seen": retrieve([4, 9], [20], [False]),
        "retrieve, rows differ": retrieve([4, 4, -1], [2, 5, 4], [True, False, True]),
        "retrieve, k too small": retrieve([4, 9], [-3]),
        "retrieve, k too large": retrieve([4, -1], [2**31 - 1]),
        "retrieve, exclude": retrieve([4, 9, -1], [8], exclude=ids.items([[2, -1], [-2, 2], [9, 9]])),
        "retrieve, exclude one row for all": retrieve([4, 9], [8], exclude=ids.items([[2, 3, 4, -1]])),
        "retrieve, restrict": retrieve([4, 4, 4, -1], [3], [False], restrict=ids.items(narrow)),
        "retrieve, restrict and exclude": retrieve(
            [4], [3], [False], exclude=ids.items([[3]]), restrict=ids.items([[3, 7, 11]])
        ),
        "retrieve, empty": retrieve([], [10]),
        "retrieve, wrong rows": retrieve([1, 2, 3], [1, 2]),
        "rank": ("rank", {"user_ids": users([4, -1]), "item_ids": ids.items([[9, 2, 2, -2], [3, -1, 0, 9]])}),
        "rank, no candidates": ("rank", {"user_ids": users([4]), "item_ids": none}),
        "rank, empty": ("rank", {"user_ids": users([]), "item_ids": ids.items(np.zeros((0, 0)))}),
        "similar": ("similar_items", {"item_ids": ids.items([3, -2, -1, 12]), "k": count(4, 4, 4, 2)}),
        "similar, all": ("similar_items", {"item_ids": ids.items([3]), "k": count(10**6)}),
        "history": (
            "retrieve_by_history",
            {"history": ids.items([[5, 8, 5, -1], [8, 5, -1, -2], [-2, -2, -1, -2], [-1] * 4]), "k": count(6)},
        ),
        "history, no width": ("retrieve_by_history", {"history": ids.items(np.zeros((2, 0))), "k": count(3)}),
        "history, empty": ("retrieve_by_history", {"history": ids.items(np.zeros((0, 2))), "k": count(3)}),
        "describe": ("describe", {"parts": np.array(["", "k", "nonsense"], object)}),
    }


@pytest.fixture(scope="module")
def answers(ask_alone, integer_model, string_model):
    """Model kind -> (its ids, request name -> answer); one process answers all."""
    models = [Ids(integer_model), Ids(string_model)]
    named = [(ids, name, request) for ids in models for name, request in requests_for(ids).items()]
    found = ask_alone([(ids.served.folder, *request) for ids, _, request in named])
    table = {ids.kind: (ids, {}) for ids in models}
    for (ids, name, _), answer in zip(named, found, strict=True):
        table[ids.kind][1][name] = answer
    return table


@pytest.fixture(params=["int64", "string"])
def ids(request, answers):
    return answers[request.param][0]


@pytest.fixture
def answer(ids, answers):
    return answers[ids.kind][1]


def popularity(ids):
    train = ids.served.dataset.train
    return np.bincount(train.items, minlength=train.num_items).astype(float)


def all_items(ids):
    return np.ones(ids.served.dataset.train.num_items, bool)


def assert_row(ids, answer, row, scores, eligible, k=None):
    numbers, given = ids.numbers(answer["item_ids"])[row], answer["scores"][row]
    assert set(numbers[k:].tolist() if k is not None else []) <= {-1}
    assert_best(numbers[:k], given[:k], scores, eligible)


def test_default_is_brute_force_for_every_user(ids, answer):
    dataset, weights = ids.served.dataset, ids.served.factors
    out = answer["default"]
    k = 10 if ids.kind == "int64" else dataset.train.num_items  # clamped to the catalogue
    assert out["item_ids"].shape == out["scores"].shape == (dataset.train.num_users, k)
    assert out["known_user"].all()
    for user in range(dataset.train.num_users):
        assert_row(ids, out, user, scores_of(weights, user), unseen(dataset, user))
        assert not seen_by(dataset, user) & set(ids.numbers(out["item_ids"])[user].tolist())


def test_equal_items_stand_in_their_order(ids, answer):
    """Items 3 and 7 have the same factors."""
    numbers = ids.numbers(answer["retrieve, k too large"]["item_ids"])[0].tolist()
    assert ids.served.factors.items[3].tolist() == ids.served.factors.items[7].tolist()
    assert numbers.index(7) == numbers.index(3) + 1


def test_unknown_users_get_the_most_popular(ids, answer):
    out = answer["default, some unknown"]
    assert out["known_user"].tolist() == [True, False, True, False, True]
    for row, user in enumerate([5, None, 5, None, 0]):
        if user is None:
            assert_row(ids, out, row, popularity(ids), all_items(ids))
            expected = ranking(popularity(ids), all_items(ids))
            assert ids.numbers(out["item_ids"])[row].tolist() == expected[: out["item_ids"].shape[1]]
        else:
            assert_row(ids, out, row, scores_of(ids.served.factors, user), unseen(ids.served.dataset, user))


def test_empty_batches(ids, answer):
    k = answer["default"]["item_ids"].shape[1]
    assert answer["default, empty"]["item_ids"].shape == (0, k)
    assert answer["default, empty"]["known_user"].shape == (0,)
    assert answer["retrieve, empty"]["scores"].shape == (0, 10)
    assert answer["rank, empty"]["scores"].shape == (0, 0)
    assert answer["history, empty"]["item_ids"].shape == (0, 3)


def test_retrieve_with_defaults_is_the_default_signature(ids, answer):
    for name in ("item_ids", "scores", "known_user"):
        expected = answer["default"][name]
        expected = expected[:, :10] if expected.ndim == 2 else expected
        np.testing.assert_array_equal(answer["retrieve, all defaults"][name], expected)


def test_seen_items_on_request(ids, answer):
    for row, user in enumerate([4, 9]):
        assert_row(ids, answer["retrieve, with seen"], row, scores_of(ids.served.factors, user), all_items(ids))


def test_rows_have_their_own_k_and_rule(ids, answer):
    out, scores = answer["retrieve, rows differ"], scores_of(ids.served.factors, 4)
    assert out["item_ids"].shape == (3, 5)
    assert_row(ids, out, 0, scores, unseen(ids.served.dataset, 4), k=2)
    assert_row(ids, out, 1, scores, all_items(ids), k=5)
    assert_row(ids, out, 2, popularity(ids), all_items(ids), k=4)
    assert out["scores"][0, 2:].tolist() == [LOWEST] * 3


def test_k_is_clamped(ids, answer):
    assert answer["retrieve, k too small"]["item_ids"].shape == (2, 0)
    out = answer["retrieve, k too large"]
    assert out["item_ids"].shape == (2, ids.served.dataset.train.num_items)
    assert_row(ids, out, 0, scores_of(ids.served.factors, 4), unseen(ids.served.dataset, 4))
    assert_row(ids, out, 1, popularity(ids), all_items(ids))


def test_excluded_ids(ids, answer):
    out = answer["retrieve, exclude"]
    for row, (user, gone) in enumerate([(4, [2]), (9, [2]), (None, [9])]):
        scores = popularity(ids) if user is None else scores_of(ids.served.factors, user)
        eligible = all_items(ids) if user is None else unseen(ids.served.dataset, user)
        eligible[gone] = False
        assert_row(ids, out, row, scores, eligible)
    for row, user in enumerate([4, 9]):
        eligible = unseen(ids.served.dataset, user)
        eligible[[2, 3, 4]] = False
        assert_row(ids, answer["retrieve, exclude one row for all"], row, scores_of(ids.served.factors, user), eligible)


def test_restriction(ids, answer):
    def only(*numbers):
        return np.isin(np.arange(ids.served.dataset.train.num_items), numbers)

    out, scores = answer["retrieve, restrict"], scores_of(ids.served.factors, 4)
    assert_row(ids, out, 0, scores, only(3, 7, 11))
    assert ids.numbers(out["item_ids"])[1].tolist() == [-1, -1, -1]  # nothing but an unknown id
    assert_row(ids, out, 2, scores, all_items(ids))  # nothing but padding
    assert_row(ids, out, 3, popularity(ids), only(5, 0))
    assert_row(ids, answer["retrieve, restrict and exclude"], 0, scores, only(7, 11))


def test_a_wrong_number_of_rows_is_named(answer):
    assert "k must have 1 row or as many rows as user_ids" in answer["retrieve, wrong rows"]


def test_rank_keeps_the_order_and_marks_the_unknown(ids, answer):
    out = answer["rank"]
    assert out["known_user"].tolist() == [True, False]
    assert out["known_item"].tolist() == [[True, True, True, False], [True, False, True, True]]
    scores, popular = scores_of(ids.served.factors, 4), popularity(ids)
    expected = [[scores[9], scores[2], scores[2], LOWEST], [popular[3], LOWEST, popular[0], popular[9]]]
    np.testing.assert_allclose(out["scores"], expected, rtol=1e-5, atol=1e-5)
    assert answer["rank, no candidates"]["scores"].shape == (1, 0)


def test_similar_items_are_cosine_neighbours(ids, answer):
    factors = ids.served.factors
    weighed = factors.items.astype(np.float64) * factors.dimension_weights
    cosines = weighed @ weighed.T / np.outer(np.linalg.norm(weighed, axis=1), np.linalg.norm(weighed, axis=1))
    out = answer["similar"]
    assert out["known_item"].tolist() == [True, False, False, True]
    for row, item in ((0, 3), (3, 12)):
        eligible = all_items(ids)
        eligible[item] = False
        assert_row(ids, out, row, cosines[item], eligible, k=4 if row == 0 else 2)
    assert ids.numbers(out["item_ids"])[0, 0] == 7  # the item with the same factors
    assert (ids.numbers(out["item_ids"])[1:3] == -1).all()
    numbers = ids.numbers(answer["similar, all"]["item_ids"])[0]
    assert sorted(numbers.tolist()) == [-1, *(n for n in range(len(cosines)) if n != 3)]


def test_history_is_folded_in(ids, answer):
    strengths = json.loads(answer["describe"]["json"][0])["fold_in"]
    factors = ids.served.factors.items.astype(np.float64)
    liked = factors[[5, 8]]
    ridge = strengths["l2"] * np.mean(factors**2) * np.eye(factors.shape[1])
    query = np.linalg.solve(liked.T @ liked + strengths["alpha"] * factors.T @ factors + ridge, liked.sum(0))
    out, eligible = answer["history"], all_items(ids)
    eligible[[5, 8]] = False
    for row in (0, 1):  # neither order nor repeats nor what stands between matter
        assert_row(ids, out, row, factors @ query, eligible)
    np.testing.assert_array_equal(out["item_ids"][0], out["item_ids"][1])
    for row in (2, 3):
        assert_row(ids, out, row, popularity(ids), all_items(ids))
    assert out["known_user"].tolist() == [True, True, False, False]
    assert out["num_unknown"].tolist() == [0, 1, 3, 0]
    nothing = answer["history, no width"]
    assert nothing["known_user"].tolist() == [False, False]
    assert ids.numbers(nothing["item_ids"]).tolist() == [ranking(popularity(ids), all_items(ids))[:3]] * 2


def test_describe(ids, answer):
    whole, k, nonsense = answer["describe"]["json"]
    about = json.loads(whole)
    assert about["user_id_type"] == about["item_id_type"] == ids.kind
    assert about["data_fingerprint"] == ids.served.dataset.fingerprint
    assert about["metrics"]["test"] == {"ndcg@3": 0.2}
    assert about["flags"]["planted_items"] == 150
    assert not {"data_dir", "output_dir", "export_dir"} & about["flags"].keys()
    assert about["model"] == ids.served.folder.parent.name
    assert str(about["version"]) == ids.served.folder.name
    assert json.loads(k) == about["k"] == answer["default"]["item_ids"].shape[1]
    assert json.loads(nonsense) is None


def test_no_score_is_nan_or_infinite(answer):
    for name, out in answer.items():
        if "scores" in out and name != "retrieve, wrong rows":
            assert np.isfinite(out["scores"]).all(), name
