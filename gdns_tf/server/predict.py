"""Predict requests, answered by a loaded version: as protocol buffers (`predict_util.cc`) and as JSON."""

import contextlib
import threading
from collections.abc import Collection, Sequence

import numpy as np
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import predict_pb2

from gdns_tf.server.json_tensors import arrays_from_json, json_from_arrays, parse_json
from gdns_tf.server.refusal import Refusal, invalid
from gdns_tf.server.servable import DEFAULT_SIGNATURE, Servable
from gdns_tf.serving.tensor_protos import array_from_proto, proto_from_array

_parsing = threading.Lock()
_LONG = 1_000_000
"""Bytes of JSON beyond which requests are parsed one at a time: parsed, they may take twenty times as much memory, and
Python would not parse two of them at once anyway."""


def predict(servable: Servable, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
    """The answer to a request.

    Raises:
      Refusal: it makes no sense to the model.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = servable.signatures.get(name)
    if signature is None:
        raise Refusal("FAILED_PRECONDITION", f'Serving signature key "{name}" not found.')
    _check_inputs(request.inputs.keys(), signature)
    _check_outputs(request.output_filter, signature)
    inputs = {alias: _array(alias, tensor) for alias, tensor in request.inputs.items()}
    outputs = servable.run(name, inputs, request.output_filter or sorted(signature.outputs))
    response = predict_pb2.PredictResponse()
    response.model_spec.name, response.model_spec.signature_name = request.model_spec.name, name
    response.model_spec.version.value = servable.version
    for alias, value in outputs.items():
        response.outputs[alias].CopyFrom(proto_from_array(np.asarray(value)))
    return response


def predict_json(servable: Servable, body: bytes) -> bytes:
    """The answer to a REST request; arguments and errors as above."""
    with _parsing if len(body) > _LONG else contextlib.nullcontext():
        name, inputs, by_rows = _parsed(servable, body)
    outputs = servable.run(name, inputs, sorted(servable.signatures[name].outputs))
    return json_from_arrays({alias: np.asarray(value) for alias, value in outputs.items()}, by_rows)


def _parsed(servable: Servable, body: bytes) -> tuple[str, dict[str, np.ndarray], bool]:
    """Signature, inputs, and whether these came in rows; nothing else of the JSON stays in memory."""
    request = parse_json(body)
    name = request.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid("not formatted correctly. 'signature_name' key must be a string value.")
    name = name or DEFAULT_SIGNATURE
    signature = servable.signatures.get(name)
    if signature is None:
        raise invalid(f'Serving signature name: "{name}" not found in signature def')
    return name, *arrays_from_json(request, name, dict(signature.inputs))


def _array(alias: str, tensor: tensor_pb2.TensorProto) -> np.ndarray:
    try:
        return array_from_proto(tensor)
    except ValueError as error:
        raise invalid(f"tensor parsing error: {alias} ({error})") from None


def _check_inputs(given: Collection[str], signature: meta_graph_pb2.SignatureDef) -> None:
    sent, wanted = set(given), set(signature.inputs)
    if sent != wanted:
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(wanted)} len({{{_list(sent)}}}) != "
            f"len({{{_list(wanted)}}}). Sent extra: {{{_list(sent - wanted)}}}. "
            f"Missing but required: {{{_list(wanted - sent)}}}."
        )


def _check_outputs(aliases: Sequence[str], signature: meta_graph_pb2.SignatureDef) -> None:
    for place, alias in enumerate(aliases):
        if alias not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {alias} "
                f"Outputs expected to be in the set {{{_list(signature.outputs)}}}."
            )
        if alias in aliases[:place]:
            raise invalid(f"duplicate output tensor alias: {alias}")


def _list(names: Collection[str]) -> str:
    return ",".join(sorted(names))
