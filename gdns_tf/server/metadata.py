"""What a model's signatures are (`get_model_metadata_impl.cc`, `http_rest_api_util.cc`)."""

from google.protobuf import json_format
from google.protobuf.message import Message
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from gdns_tf.server.refusal import invalid
from gdns_tf.server.servable import Servable

SIGNATURE_DEF = "signature_def"


def metadata(
    servable: Servable, request: get_model_metadata_pb2.GetModelMetadataRequest
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """The answer to a request.

    Raises:
      Refusal: it asks for something else than signatures.
    """
    if not request.metadata_field:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != SIGNATURE_DEF:
            raise invalid(f"Metadata field {field} is not supported")
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name, response.model_spec.version.value = request.model_spec.name, servable.version
    signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=servable.signatures)
    response.metadata[SIGNATURE_DEF].Pack(signatures)
    return response


def metadata_json(servable: Servable, name: str) -> dict:
    """The same, of a model of this name, as REST tells it."""
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=[SIGNATURE_DEF])
    request.model_spec.name = name
    response = metadata(servable, request)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata[SIGNATURE_DEF].Unpack(signatures)
    return {"model_spec": _plain(response.model_spec), "metadata": {SIGNATURE_DEF: _plain(signatures)}}


def status_json(status: get_model_status_pb2.GetModelStatusResponse) -> dict:
    """The states of a model's versions as REST tells them."""
    return _plain(status)


def _plain(message: Message) -> dict:
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
