"""The benchmark of abusive requests: what it asks for is what the contract takes, and what the table says."""

import pytest

from gdns_tf.benchmarks.requests import REQUESTS, Request, RequestsBenchConfig
from gdns_tf.serving.contract import SIGNATURES
from pipelines.errors import InputError


def test_requests_keep_to_the_contract_and_have_the_rows_that_they_name():
    assert {request.signature for request in REQUESTS} == set(SIGNATURES)
    for request in REQUESTS:
        small = request.scaled(1e-2)
        inputs = small.inputs(1000)
        tensors = SIGNATURES[request.signature].inputs
        assert list(inputs) == [tensor.name for tensor in tensors]
        for tensor in tensors:
            value = inputs[tensor.name]
            assert value.ndim == tensor.rank
            assert len(value) in ((small.rows, 1) if tensor.axes[0] == "B|1" else (small.rows,))
        assert f"{small.rows:,} rows" in small.name()
        assert small.scaled(1.0) == small


def test_only_the_named_list_has_ids():
    inputs = Request("retrieve", 4, 7, lists="restrict_to", one_for_all=True).inputs(50)
    assert inputs["restrict_to"].shape == (1, 7)
    assert inputs["exclude_ids"].shape == (1, 0)
    assert Request("retrieve", 4, 7, lists="exclude_ids").inputs(50)["exclude_ids"].shape == (4, 7)


@pytest.mark.parametrize("values", [{"num_items": 10}, {"dim": 0}, {"scale": 0.0}, {"scale": 2.0}, {"gigabytes": 0.0}])
def test_impossible_settings_are_refused(values):
    with pytest.raises(InputError, match=next(iter(values))):
        RequestsBenchConfig(**values)
