"""What tests of delivering share: a mail server, a shop that sends through it, a worker's hands."""

import contextlib

import pytest

from mailer.deliver.delivery import Delivery
from tests.servers.scripted import ScriptedServer
from tests.servers.shop import shop


@pytest.fixture
def server():
    """Of *bad* it knows another password than the shop does."""
    with ScriptedServer({"primary": "right", "good": "right", "bad": "other"}) as running:
        yield running


@pytest.fixture
def settings(redis_url, tmp_path, server, monkeypatch):
    monkeypatch.setenv("PASSWORD", "right")
    return shop(redis_url, tmp_path, server.port, "primary", account={"max_connections": 1})


@pytest.fixture
def delivery(settings, client):
    with contextlib.closing(Delivery(settings, client)) as made:
        yield made
