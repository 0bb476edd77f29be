"""What asks for too much is refused with a message before anything is calculated; what is just within is answered."""

import json

import numpy as np
import pytest
import tensorflow as tf
from planted_runs import random_factors

from gdns_tf.clients.errors import InvalidRequest
from gdns_tf.clients.in_process import InProcess
from gdns_tf.clients.signatures import Signatures
from gdns_tf.export import ExportConfig
from gdns_tf.serving.contract import SIGNATURES
from gdns_tf.serving.description import describe
from gdns_tf.serving.export import check_options
from gdns_tf.serving.fold_in import FoldIn
from gdns_tf.serving.in_memory import in_memory, served_model
from gdns_tf.serving.limits import MOST_PARTS, Limits, rows_that_fit
from pipelines.errors import InputError

LIMITS = Limits(users=9, k=60, ids=70)
"""900 entries."""


def limited(dataset, limits, folder):
    options = {"k": 10, "item_dtype": "float32", "fold_in": FoldIn()}
    factors = random_factors(dataset)
    description = {"model": "", "version": 1} | describe(factors, dataset, about={}, limits=limits, **options)
    return served_model(factors, dataset, description, FoldIn(), folder)


@pytest.fixture(scope="module")
def model(planted_dataset, tmp_path_factory):
    return limited(planted_dataset, LIMITS, tmp_path_factory.mktemp("limited"))


@pytest.fixture(scope="module")
def functions(model):
    return model.signatures()


def ids(*shape):
    return np.ones(shape, np.int64)


def retrieve(users=1, k=1, exclude=(1, 0), restrict=(1, 0)):
    """A request of lists of these shapes."""
    inputs = {"user_ids": ids(users), "k": np.int32([k]), "exclude_seen": np.array([True])}
    return "retrieve", inputs | {"exclude_ids": ids(*exclude), "restrict_to": ids(*restrict)}


K, KS = np.int32([1]), np.int32([1, 2**31 - 1])
PARTS = np.full(MOST_PARTS + 1, "k", object)
ROWS, LISTS = "has more than 9 rows, `max_users` of this model", "has more than 70 ids a list, `max_ids` of this model"
ENTRIES = "has more than 900 entries, as by `max_users`: split the request; entries"
REFUSED = {
    "users": ("serving_default", {"user_ids": ids(10)}, f"user_ids {ROWS}: split the request; rows:] [10]"),
    "items": ("similar_items", {"item_ids": ids(10), "k": K}, f"item_ids {ROWS}: split the request"),
    "k": (*retrieve(k=61), "k is above 60, `max_k` of this model: ask for fewer; k:] [61]"),
    "k of a row": ("similar_items", {"item_ids": ids(2), "k": KS}, "k is above 60, `max_k` of this model"),
    "excluded": (*retrieve(exclude=(1, 71)), f"exclude_ids {LISTS}: shorten it; ids:] [71]"),
    "chosen from": (*retrieve(restrict=(1, 10**6)), f"restrict_to {LISTS}: shorten it; ids:] [1000000]"),
    "history": ("retrieve_by_history", {"history": ids(1, 71), "k": K}, f"history {LISTS}"),
    "explained": (
        "explain",
        {"user_ids": ids(9), "item_ids": ids(9, 51), "k": 2 * K},
        f"because_ids {ENTRIES}:] [918]",
    ),
    "cosines": ("cosines", {"item_ids": ids(1, 31)}, f"cosines {ENTRIES}:] [961]"),
    "parts": ("describe", {"parts": PARTS}, "parts has more than 1,000 rows: split the request; rows:] [1001]"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_too_much(functions, name):
    signature, inputs, message = REFUSED[name]
    with pytest.raises(InvalidRequest) as error:
        InProcess(functions, "the model").call(signature, inputs, ())
    assert message in str(error.value)


def test_nothing_is_calculated_of_what_is_too_much(planted_dataset, tmp_path):
    """Cosines of 38 GB, which the machine's memory or the test's patience would not bear."""
    functions = limited(planted_dataset, Limits(), tmp_path).signatures()
    with pytest.raises(tf.errors.InvalidArgumentError, match="cosines has more than 1,000,000 entries"):
        functions["cosines"](item_ids=tf.ones([1, 100_000], tf.int64))


def test_what_is_just_within_the_limits(functions):
    for signature, inputs in (
        retrieve(9, k=60, exclude=(9, 70), restrict=(1, 70)),
        ("cosines", {"item_ids": ids(1, 30)}),
        ("explain", {"user_ids": ids(9), "item_ids": ids(9, 50), "k": np.int32([2])}),
        ("describe", {"parts": np.full(MOST_PARTS, "k", object)}),
    ):
        outputs = [tensor.name for tensor in SIGNATURES[signature].outputs]
        answer = InProcess(functions, "the model").call(signature, inputs, outputs)
        assert {len(out) for out in answer.values()} == {len(next(iter(inputs.values())))}


def test_the_model_tells_its_limits_and_one_in_memory_has_none(functions, planted_dataset):
    def told(functions):
        (text,) = functions["describe"](parts=tf.constant(["limits"]))["json"].numpy()
        return json.loads(text)

    assert told(functions) == {"users": 9, "k": 60, "ids": 70, "entries": 900}
    free = in_memory(random_factors(planted_dataset), planted_dataset).signatures()
    assert told(free) is None
    assert free["serving_default"](user_ids=tf.ones([20_000], tf.int64))["item_ids"].shape == (20_000, 100)


def test_clients_split_what_a_model_does_not_take_at_once(functions, planted_dataset):
    free = in_memory(random_factors(planted_dataset), planted_dataset, k=10).signatures()
    split, whole = (Signatures(InProcess(each, "the model")) for each in (functions, free))
    users, items = [*range(25), 999], [*range(30), 999]
    histories = [list(range(user % 7)) for user in users]
    for ask in (
        lambda model: model.recommend(users, 5),
        lambda model: model.recommend(users, 60, exclude=items, restrict_to=list(range(60))),
        lambda model: model.recommend(users, 9, why=40),
        lambda model: model.similar_items(items, 12),
        lambda model: model.recommend_by_history(histories, 8),
        lambda model: model.rank(users, items),
    ):
        found, expected = ask(split), ask(whole)
        assert len(found.queries) == len(expected.queries)
        for name in ("queries", "items", "scores", "known", "because", "contributions", "known_item", "num_unknown"):
            out, right = getattr(found, name, None), getattr(expected, name, None)
            if name in ("scores", "contributions") and right is not None:  # other rows may be rounded otherwise
                np.testing.assert_allclose(out, right, rtol=1e-5, atol=1e-6, err_msg=name)
            else:
                np.testing.assert_array_equal(out, right, err_msg=name)
    with pytest.raises(InvalidRequest, match="k is above 60, `max_k` of this model"):
        split.recommend(users, 61)


def test_rows_that_fit():
    told = Limits(users=50, k=10, ids=200).told()
    assert told["entries"] == 5000
    cosines, plain = SIGNATURES["cosines"], SIGNATURES["serving_default"]
    assert rows_that_fit(cosines, told, {"C": 10}) == 50
    assert rows_that_fit(cosines, told, {"C": 40}) == 3
    assert rows_that_fit(cosines, told, {"C": 1000}) == 1
    assert rows_that_fit(plain, told, {"K": 10}) == 50


def test_limits_that_cannot_be(tmp_path):
    with pytest.raises(InputError, match="`max_users`=0 must lie in"):
        Limits(users=0)
    with pytest.raises(InputError, match="`max_ids`=-1 must be at least 1"):
        ExportConfig(run_dir="run", max_ids=-1)
    with pytest.raises(InputError, match="`k`=11 is above `max_k`=10"):
        check_options(tmp_path, k=11, limits=Limits(k=10))
