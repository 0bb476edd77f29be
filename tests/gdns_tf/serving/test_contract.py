"""The contract is what a saved model has, and what the page says."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from gdns_tf.serving.contract import APPROXIMATE, ITEM_ID, SIGNATURES, USER_ID, format_table, id_type

PAGE = Path(__file__).parents[3] / "gdns_tf/serving/README.md"


def test_the_table_of_the_page_is_that_of_the_contract():
    table = format_table()
    heading = table.splitlines()[2]
    blocks = PAGE.read_text(encoding="utf-8").split("\n\n")
    assert [block.strip() for block in blocks if heading in block] == [table], (
        "put in what `format_table` of gdns_tf.serving.contract says"
    )


def test_the_table_of_the_page_is_that_of_the_index():
    assert format_table([APPROXIMATE]) in PAGE.read_text(encoding="utf-8").split("\n\n")


@pytest.mark.parametrize("kind", ["integer_model", "string_model"])
def test_a_saved_model_has_the_inputs_and_outputs_of_the_contract(kind, request):
    served = request.getfixturevalue(kind)
    train = served.dataset.train
    id_types = {USER_ID: id_type(train.user_ids), ITEM_ID: id_type(train.item_ids)}
    loaded = tf.saved_model.load(str(served.folder)).signatures
    assert set(loaded) == set(SIGNATURES)
    for name, signature in SIGNATURES.items():
        for tensors, found in (
            (signature.inputs, loaded[name].structured_input_signature[1]),
            (signature.outputs, loaded[name].structured_outputs),
        ):
            assert {key: (spec.dtype.name, spec.shape.rank) for key, spec in found.items()} == {
                tensor.name: (tensor.dtype_with(id_types), tensor.rank) for tensor in tensors
            }, name


@pytest.mark.parametrize(("ids", "expected"), [([1, 2], "int64"), (["a"], "string")])
def test_types_of_raw_ids(ids, expected):
    assert id_type(np.array(ids)) == expected
