"""A model that was never saved answers as the saved one does."""

import gc
import json
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from gdns_tf.serving.in_memory import in_memory
from gdns_tf.serving.warmup import example_inputs
from pipelines.errors import InputError


@pytest.mark.parametrize("kind", ["integer_model", "string_model"])
def test_every_signature_answers_as_that_of_the_saved_model(kind, request):
    served = request.getfixturevalue(kind)
    functions = in_memory(served.factors, served.dataset, **served.options).signatures()
    gc.collect()  # neither the model nor the folder of its vocabularies is needed any more
    saved = tf.saved_model.load(str(served.folder))
    train = served.dataset.train
    for name, inputs in example_inputs(train.user_ids, train.item_ids, 5).items():
        if name == "describe":
            inputs = {"parts": np.array(["k", "data_fingerprint", "user_id_type", "fold_in", "padding"])}
        if name == "retrieve":
            inputs |= {"restrict_to": train.item_ids[None, :9], "exclude_ids": train.item_ids[None, :2]}
        inputs = {key: tf.constant(value) for key, value in inputs.items()}
        expected = saved.signatures[name](**inputs)
        answer = functions[name](**inputs)
        assert answer.keys() == expected.keys()
        for key in answer:
            np.testing.assert_array_equal(answer[key], expected[key], err_msg=f"{name}: {key}")


def test_it_tells_what_it_was_given(integer_model):
    about = {"flags": {"scorer": "gmf", "output_dir": "/secret"}, "metrics": {"test": {"ndcg@3": 0.5}, "seconds": 9}}
    model = in_memory(integer_model.factors, integer_model.dataset, about=about)
    (text,) = model.signatures()["describe"](parts=tf.constant([""]))["json"].numpy()
    told = json.loads(text)
    assert told["flags"] == {"scorer": "gmf"}
    assert told["metrics"] == {"test": {"ndcg@3": 0.5}}
    assert (told["refit"], told["version"], told["k"]) == (False, None, 100)


def test_ids_that_cannot_be_served(integer_model):
    dataset = integer_model.dataset
    ids = np.where(np.arange(dataset.train.num_items) == 3, -1, dataset.train.item_ids)
    with pytest.raises(InputError, match="the id -1 cannot be served: it stands for padding"):
        in_memory(integer_model.factors, replace(dataset, train=replace(dataset.train, item_ids=ids)))
