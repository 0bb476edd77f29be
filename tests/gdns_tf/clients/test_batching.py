"""Requests that TensorFlow Serving merges into one batch come out as they would have alone.

The merging is that of `batching_session.cc` and `batching_util.cc` with `pad_variable_length_inputs`: rows are filled
up with the first element of the whole tensor, tensors without elements are refused, and all is concatenated.
"""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gdns_tf.clients import Signatures
from gdns_tf.clients.backend import Backend


def padded(tensors):
    """The tensors of one input, from several requests, as rows of one width."""
    if tensors[0].ndim == 1:
        return tensors
    width = max(tensor.shape[1] for tensor in tensors)
    if any(tensor.size == 0 and width for tensor in tensors):
        raise ValueError("Got empty tensor in batch of non-empty tensors.")
    return [np.pad(t, [(0, 0), (0, width - t.shape[1])], constant_values=t.flat[0]) for t in tensors]


class Merging(Backend):
    """Waits for so many calls of one signature, and runs them as one."""

    def __init__(self, backend, calls):
        self._backend = backend
        self._together = threading.Barrier(calls, action=self._run)
        self._tasks, self._answers = {}, {}

    def call(self, signature, inputs, outputs):
        if signature == "describe":
            return self._backend.call(signature, inputs, outputs)
        self._tasks[threading.get_ident()] = signature, inputs, outputs
        self._together.wait(30)
        return self._answers[threading.get_ident()]

    def _run(self):
        (signature,) = {signature for signature, _, _ in self._tasks.values()}
        all_inputs = [inputs for _, inputs, _ in self._tasks.values()]
        merged = {name: np.concatenate(padded([inputs[name] for inputs in all_inputs])) for name in all_inputs[0]}
        outputs = next(iter(self._tasks.values()))[2]
        answer = self._backend.call(signature, merged, outputs)
        sizes = {len(value) for value in answer.values()}
        assert sizes == {len(value) for value in merged.values()}, "every output has as many rows as the inputs"
        ends = np.cumsum([len(next(iter(inputs.values()))) for inputs in all_inputs])[:-1]
        split = {name: np.split(value, ends) for name, value in answer.items()}
        for place, thread in enumerate(self._tasks):
            self._answers[thread] = {name: parts[place] for name, parts in split.items()}


def rows(answer):
    return [(row.query, row.known, row.entries) for row in answer]


def rounded(answer):
    """Rows of scores that are no whole numbers: products of more rows may differ in the last bits."""
    return [(row.query, row.known, sorted(round(entry.score, 5) for entry in row.entries)) for row in answer]


@pytest.mark.parametrize("id_type", ["int64", "string"])
@pytest.mark.parametrize("signature", ["serving_default", "retrieve", "rank", "similar_items", "retrieve_by_history"])
def test_merged_requests_are_answered_as_alone(models, in_process, id_type, signature):
    oracle = models[id_type][1]
    users, items = oracle.user_ids, oracle.item_ids
    best = [entry.item for row in in_process[id_type].signatures.recommend(users[:3], 2) for entry in row.entries]
    asks = {
        "serving_default": [
            lambda r: rows(r.recommend(users[:2], 3)),
            lambda r: rows(r.recommend(users[2:5], 10)),
            lambda r: rows(r.recommend(users[5:6], 1)),
        ],
        "retrieve": [
            lambda r: rows(r.recommend(users[:3], 5, exclude=best[:1])),
            lambda r: rows(r.recommend(users[:3], 40, restrict_to=items[5:50])),
            lambda r: rows(r.recommend(users[3:4], 12, exclude_seen=False)),
        ],
        "rank": [
            lambda r: r.rank(users[:2], items[:7]).scores.tolist(),
            lambda r: r.rank(users[2:5], items[7:9]).scores.tolist(),
            lambda r: r.rank(users[5:6], []).known_item.tolist(),
        ],
        "similar_items": [
            lambda r: rounded(r.similar_items(items[:2], 3)),
            lambda r: rounded(r.similar_items(items[2:3], 30)),
            lambda r: rounded(r.similar_items(items[3:6], 1)),
        ],
        "retrieve_by_history": [
            lambda r: rounded(r.recommend_by_history([items[:9], items[4:6]], 5)),
            lambda r: rounded(r.recommend_by_history([[]], 8)),
            lambda r: rounded(r.recommend_by_history([items[40:41], []], 3)),
        ],
    }[signature]
    alone = [ask(in_process[id_type].signatures) for ask in asks]
    merged = Signatures(Merging(in_process[id_type].signatures.backend, len(asks)), oracle.titles)
    assert merged.user_id_type == id_type
    with ThreadPoolExecutor(len(asks)) as pool:
        assert list(pool.map(lambda ask: ask(merged), asks)) == alone
