"""Exported models and a server of them, made once."""

import contextlib

import pytest
from served_models import export_model
from serving_folder import serving
from tensorflow.core.protobuf import config_pb2

from gdns_tf.clients import Recommender, Signatures
from gdns_tf.clients.in_process import InProcess
from gdns_tf.server import servable
from gdns_tf.serving.in_memory import in_memory

_UNCHANGED = config_pb2.ConfigProto()
_UNCHANGED.graph_options.rewrite_options.disable_meta_optimizer = True


@pytest.fixture(autouse=True, scope="module")
def unchanged_graphs():
    """Servers load graphs as they were saved: optimizing them takes TensorFlow seconds for each version. `servers` has
    one as users have it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(servable, "SESSION_OPTIONS", _UNCHANGED)
        yield


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Id type -> (model folder, what it must answer)."""
    made = {}
    for seed, id_type in enumerate(("int64", "string")):
        folder = tmp_path_factory.mktemp(id_type)
        made[id_type] = folder / "gdns", export_model(folder / "gdns", seed, id_type)
    return made


@pytest.fixture(params=("int64", "string"))
def id_type(request):
    """Type of the ids of users and items."""
    return request.param


@pytest.fixture
def oracle(models, id_type):
    """What the model of this id type must answer."""
    return models[id_type][1]


@pytest.fixture(scope="session")
def servers(models):
    """Id type -> a server of the model; that of int64 optimizes the graph, as it does for users."""
    with contextlib.ExitStack() as stack:
        running = {}
        for id_type, options in (("int64", config_pb2.ConfigProto()), ("string", _UNCHANGED)):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(servable, "SESSION_OPTIONS", options)
                running[id_type] = stack.enter_context(serving(models[id_type][0]))
        yield running


@pytest.fixture(scope="session")
def in_process(models):
    """Id type -> the model in this process."""
    return {id_type: Recommender.from_saved_model(folder) for id_type, (folder, _) in models.items()}


@pytest.fixture(scope="session")
def in_memory_models(models):
    """Id type -> the model in this process that was never saved."""

    def signatures(oracle):
        return Signatures(InProcess(in_memory(oracle.factors, oracle.split, k=10).signatures(), "the model"))

    return {id_type: signatures(oracle) for id_type, (_, oracle) in models.items()}
