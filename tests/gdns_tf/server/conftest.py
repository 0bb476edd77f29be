"""Models that are saved once, and a server of one of them."""

import pytest
from serving_folder import serving
from tiny_models import publish, save


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """A folder with version 1, 2 and 3 of a tiny model, to be published by tests."""
    folder = tmp_path_factory.mktemp("saved")
    for version in (1, 2, 3):
        save(folder, version)
    return folder


@pytest.fixture(scope="module")
def server(saved, tmp_path_factory):
    """A server of version 2 of the model `tiny`, for tests that change nothing."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    publish(saved / "2", folder)
    with serving(folder, name="tiny") as server:
        yield server
