"""`mailer web` as it runs: a real server on a real socket, and a Redis with something in it."""

import threading

import httpx
import pytest
import uvicorn

from mailer.config import Settings
from mailer.web.application import application
from mailer.web.patience import Patient
from tests.conftest import free_port
from tests.servers.waiting import eventually


class Served:
    """A server in a thread of its own; *client* asks it."""

    def __init__(self, settings, app=None):
        self.settings = settings
        self.port = free_port()
        config = uvicorn.Config(
            app or application(settings),
            port=self.port,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            http=Patient,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)

    def __enter__(self):
        self._thread.start()
        eventually(lambda: self._server.started)
        return self

    def __exit__(self, *_exc):
        self.client.close()
        self._server.should_exit = True
        self._thread.join(20)


@pytest.fixture
def settings(redis_url):
    return Settings.model_validate(
        {
            "redis": redis_url,
            "accounts": {"primary": {"url": "smtp://localhost:1", "rate": "100/hour"}},
        }
    )


@pytest.fixture
def served(settings):
    with Served(settings) as server:
        yield server
