"""JSON to tensors and back, as TensorFlow Serving's documentation of its REST API and its sources have it."""

import json
import math

import numpy as np
import pytest
from tensorflow.core.protobuf import meta_graph_pb2

from gdns_tf.server.json_tensors import arrays_from_json, json_from_arrays, parse_json
from gdns_tf.server.refusal import Refusal


def infos(**dtypes):
    """TensorInfos of inputs, by name."""
    return {name: meta_graph_pb2.TensorInfo(dtype=f"DT_{dtype.upper()}") for name, dtype in dtypes.items()}


def read(body, **dtypes):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return arrays_from_json(parse_json(body), "serving_default", infos(**dtypes))


def refused(body, **dtypes):
    with pytest.raises(Refusal) as caught:
        read(body, **dtypes)
    assert caught.value.code == "INVALID_ARGUMENT"
    return caught.value.message


def test_rows_of_named_inputs():
    """The example of api_rest.md, "Specifying input tensors in row format"."""
    body = {
        "instances": [
            {"tag": "foo", "signal": [1, 2, 3, 4, 5], "sensor": [[1, 2], [3, 4]]},
            {"tag": "bar", "signal": [3, 4, 1, 2, 5], "sensor": [[4, 5], [6, 8]]},
        ]
    }
    arrays, by_rows = read(body, tag="string", signal="int64", sensor="float")
    assert by_rows
    assert arrays["tag"].tolist() == [b"foo", b"bar"]
    assert arrays["signal"].tolist() == [[1, 2, 3, 4, 5], [3, 4, 1, 2, 5]]
    assert arrays["sensor"].tolist() == [[[1, 2], [3, 4]], [[4, 5], [6, 8]]]
    assert [arrays[name].dtype for name in ("signal", "sensor")] == [np.int64, np.float32]


def test_a_single_input_needs_no_name():
    assert read({"instances": ["foo", "bar"]}, tag="string")[0]["tag"].tolist() == [b"foo", b"bar"]
    assert read({"instances": [[1, 2], [3, 4]]}, x="int32")[0]["x"].tolist() == [[1, 2], [3, 4]]
    assert read({"inputs": [[1, 2], [3, 4]]}, x="int32") == ({"x": pytest.approx(np.array([[1, 2], [3, 4]]))}, False)
    assert read({"inputs": 7}, x="int64")[0]["x"].shape == ()


def test_columns():
    """The example of "Specifying input tensors in column format"."""
    body = {
        "inputs": {
            "tag": ["foo", "bar"],
            "signal": [[1, 2, 3, 4, 5], [3, 4, 1, 2, 5]],
            "sensor": [[[1, 2], [3, 4]], [[4, 5], [6, 8]]],
        }
    }
    arrays, by_rows = read(body, tag="string", signal="int64", sensor="float")
    assert not by_rows
    assert [array.shape for array in arrays.values()] == [(2,), (2, 5), (2, 2, 2)]


def test_empty_lists_keep_their_dimensions():
    assert read({"inputs": []}, x="int64")[0]["x"].shape == (0,)
    assert read({"inputs": [[], []]}, x="int64")[0]["x"].shape == (2, 0)
    assert read({"instances": [{"x": [], "y": True}]}, x="string", y="bool")[0]["x"].shape == (1, 0)


def test_bytes_are_base64_or_come_through_as_they_are():
    assert read({"inputs": [{"b64": "aW1hZ2U="}, "é"]}, x="string")[0]["x"].tolist() == [b"image", "é".encode()]
    assert read(b'{"instances": ["\xff\xfe"]}', x="string")[0]["x"].tolist() == [b"\xff\xfe"]
    assert (
        json_from_arrays({"x": np.array([b"\xff", "é".encode()], object)}, True)
        == b'{"predictions": ["\xff", "\xc3\xa9"]}'
    )
    out = json_from_arrays({"x_bytes": np.array([b"image"], object)}, False)
    assert json.loads(out) == {"outputs": [{"b64": "aW1hZ2U="}]}


def test_numbers_that_json_does_not_know():
    values = read(b'{"inputs": [NaN, Infinity, -Infinity, 1e3, 2]}', x="float")[0]["x"]
    assert np.isnan(values[0])
    assert values[1:].tolist() == [math.inf, -math.inf, 1000, 2]
    assert json_from_arrays({"x": values}, False) == b'{"outputs": [NaN, Infinity, -Infinity, 1000.0, 2.0]}'


def test_floats_are_written_as_short_as_they_are():
    values = np.array([0.1, 1 / 3, 16777217, np.finfo(np.float32).min], np.float32)
    written = json_from_arrays({"x": values}, False)
    assert b"[0.1, 0.33333334, 16777216.0, -3.4028235e+38]" in written
    np.testing.assert_array_equal(np.array(json.loads(written)["outputs"], np.float32), values)


def test_outputs_in_rows_and_columns():
    """The examples of "Response format"."""
    outputs = {"sentences": np.array([b"foo", b"bar"], object), "scores": np.array([[1, 2], [3, 4]], np.int64)}
    assert json.loads(json_from_arrays(outputs, True)) == {
        "predictions": [{"sentences": "foo", "scores": [1, 2]}, {"sentences": "bar", "scores": [3, 4]}]
    }
    assert json.loads(json_from_arrays(outputs, False)) == {
        "outputs": {"sentences": ["foo", "bar"], "scores": [[1, 2], [3, 4]]}
    }
    assert json.loads(json_from_arrays({"x": np.zeros((0, 3))}, True)) == {"predictions": []}
    with pytest.raises(Refusal, match="inconsistent batch size: 3 expecting: 2"):
        json_from_arrays(outputs | {"x": np.zeros(3)}, True)
    with pytest.raises(Refusal, match="has no shape information"):
        json_from_arrays({"x": np.float32(1).reshape(())}, True)


def test_what_follows_the_object_is_passed_over():
    assert read(b' \n{"inputs": [1]} and so on', x="int64")[0]["x"].tolist() == [1]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "JSON Parse error: The document is empty"),
        (b"   ", "JSON Parse error: The document is empty"),
        (b'{"inputs": [1', "JSON Parse error: "),
        (b"[1, 2]", "JSON Value: [1, 2] Is not object"),
        (b"[" * 100_000, "JSON Parse error: nested too deeply"),
        (b'{"inputs": ' + b"9" * 5000 + b"}", "JSON Parse error: "),
        ({}, "Missing 'inputs' or 'instances' key"),
        ({"inputs": [1], "instances": [1]}, "expecting only one of 'inputs' or 'instances' keys to exist"),
        ({"instances": 1}, "Expecting 'instances' to be an list/array"),
        ({"instances": []}, "No values in 'instances' array"),
        ({"inputs": ["1"]}, 'JSON Value: "1" Type: String is not of expected type: int64'),
        ({"inputs": [1.5]}, "JSON Value: 1.5 Type: Number is not of expected type: int64"),
        ({"inputs": [1.0]}, "JSON Value: 1.0 Type: Number is not of expected type: int64"),
        ({"inputs": [True]}, "JSON Value: true Type: True is not of expected type: int64"),
        ({"inputs": [None]}, "JSON Value: null Type: Null is not of expected type: int64"),
        ({"inputs": [2**63]}, "JSON Value: 9223372036854775808 Type: Number is not of expected type: int64"),
        ({"inputs": [[1, 2], [3]]}, "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        ({"inputs": [1, [2]]}, "Encountered list at unexpected level: 1 expected < 1"),
        ({"inputs": [[1], 2]}, "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
        ({"instances": [1, {"x": 2}]}, "Expecting value/list but got object at item 1 of input list"),
        ({"instances": [{"x": 1}, 2]}, "Expecting object but got list at item 1 of input list"),
        ({"instances": [{"y": 1}]}, "element: 0 key: y of 'instances' list. Error: INVALID_ARGUMENT: JSON object: "),
        ({"instances": [{}]}, "process element: 0 of 'instances' list. JSON object: {} keys must be equal to: x"),
        ({"instances": [[1], [1, 2]]}, "Error: INVALID_ARGUMENT: Expecting shape [1] but got: [2]"),
        ({"inputs": {"y": [1]}}, "Missing named input: x in 'inputs' object."),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_its_reason(body, message):
    assert message in refused(body, x="int64")


def test_refusals_of_other_types():
    assert "expecting an object as multiple" in refused({"inputs": [1]}, x="int64", y="int64")
    assert "expecting list of objects as multiple" in refused({"instances": [1]}, x="int64", y="int64")
    assert "Failed to get input map for signature: serving_default" in refused({"inputs": [1]})
    assert "Type: Number is not of expected type: bool" in refused({"inputs": [1]}, x="bool")
    assert "Type: Array" not in refused({"inputs": [10**400]}, x="float")
    assert "Unable to base64 decode" in refused({"inputs": [{"b64": "?"}]}, x="string")
    assert "not formatted correctly for base64 data" in refused({"inputs": [{"c": "?"}]}, x="string")
    assert "The surrogate pair in string is invalid" in refused(b'{"inputs": ["\\ud800"]}', x="string")
    assert "2147483648" in refused({"inputs": [1, 2**31]}, x="int32")


def test_a_long_value_is_shown_in_part():
    assert len(refused({"instances": list(range(10**5)), "inputs": 1}, x="int64")) < 500


def test_many_rows_take_no_longer_than_columns_and_the_wrong_one_is_still_refused():
    rows = [{"x": number} for number in range(100_001)]
    arrays, by_rows = arrays_from_json({"instances": rows}, "serving_default", infos(x="int64"))
    assert by_rows
    np.testing.assert_array_equal(arrays["x"], np.arange(100_001))
    for wrong, message in (
        ({"x": "a"}, "is not of expected type: int64"),
        ({"x": [1]}, "Encountered list"),
        (1, "Expecting object but got list at item 100001"),
        ({"y": 1}, "does not have named input: y"),
        ({"x": 1, "y": 1}, "does not have named input: y"),
        ({}, "keys must be equal to: x"),
    ):
        with pytest.raises(Refusal, match=message):
            arrays_from_json({"instances": [*rows, wrong]}, "serving_default", infos(x="int64"))
