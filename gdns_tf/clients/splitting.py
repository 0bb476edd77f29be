"""Requests larger than a model takes, in parts; and their answers as one."""

from collections.abc import Mapping, Sequence

import numpy as np

from gdns_tf.serving.contract import ITEM_ID, PADDING_IDS, PADDING_SCORE, Signature
from gdns_tf.serving.limits import rows_that_fit


def parts_that_fit(
    signature: Signature, inputs: Mapping[str, np.ndarray], description: Mapping
) -> list[dict[str, np.ndarray]]:
    """The inputs in blocks of rows, as few as keep to the model's limits; one where it has none.

    Args:
      signature: what is asked.
      inputs: all of its inputs, with the same number of rows, at least one; or with one that is for all.
      description: what the model says of itself.
    """
    batch = len(next(iter(inputs.values())))
    limits, k, num_items = (description.get(name) for name in ("limits", "k", "num_items"))
    if not _are_numbers(limits) or not isinstance(k, int) or not isinstance(num_items, int):  # a former version's
        return [dict(inputs)]
    for_all = {name for name, value in inputs.items() if len(value) == 1}
    sizes = {
        axis: 0 if tensor.name in for_all else size  # those do not grow with the rows
        for tensor in signature.inputs
        for axis, size in zip(tensor.axes, inputs[tensor.name].shape, strict=True)
    }
    sizes["K"] = min(int(inputs["k"].max()) if "k" in inputs else k, num_items)
    rows = rows_that_fit(signature, limits, sizes)
    return [
        {name: value if name in for_all else value[at : at + rows] for name, value in inputs.items()}
        for at in range(0, batch, rows)
    ]


def joined(answers: Sequence[Mapping[str, np.ndarray]], signature: Signature, item_id_type: str) -> dict:
    """The answers to parts, one after the other, filled up with padding to the widest."""
    if len(answers) == 1:
        return dict(answers[0])
    padding = {ITEM_ID: PADDING_IDS[item_id_type], "float32": PADDING_SCORE}
    found = {}
    for tensor in signature.outputs:
        parts = [answer[tensor.name] for answer in answers]
        widest = np.max([part.shape[1:] for part in parts], axis=0).astype(int)
        whole = np.full((sum(map(len, parts)), *widest), padding.get(tensor.dtype, 0), parts[0].dtype)
        at = 0
        for part in parts:
            whole[(slice(at, at + len(part)), *map(slice, part.shape[1:]))] = part
            at += len(part)
        found[tensor.name] = whole
    return found


def _are_numbers(limits: object) -> bool:
    return isinstance(limits, Mapping) and all(
        isinstance(limits.get(name), int) and limits[name] >= 1 for name in ("users", "entries")
    )
