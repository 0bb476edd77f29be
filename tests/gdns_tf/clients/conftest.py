"""Exported models and a server of them, made once."""

import pytest
from served_models import export_model
from serving_folder import serving

from gdns_tf.clients import Recommender, Signatures
from gdns_tf.clients.in_process import InProcess
from gdns_tf.serving.in_memory import in_memory


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
    """Id type -> a server of the model."""
    with serving(models["int64"][0]) as of_int64, serving(models["string"][0]) as of_string:
        yield {"int64": of_int64, "string": of_string}


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
