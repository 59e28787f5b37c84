"""A submission server with two accounts, and workers that may use them."""

import pytest

from tests.servers.cluster import Cluster
from tests.servers.scripted import ScriptedServer


@pytest.fixture
def smtp():
    with ScriptedServer({"primary": "right", "other": "right"}) as server:
        yield server


@pytest.fixture
def cluster(tmp_path, redis_url, smtp):
    made = Cluster(tmp_path, redis_url, smtp.port, primary="right", other="right")
    yield made
    made.close()
