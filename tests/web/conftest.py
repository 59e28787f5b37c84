"""`mailer web` as it runs: a real server on a real socket, and a Redis with something in it."""

import ssl
import threading

import httpx
import pytest
import uvicorn

from mailer.config import Settings
from mailer.web.application import application
from mailer.web.patience import Patient
from mailer.web.serving import Server
from tests.conftest import free_port
from tests.servers.waiting import eventually

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients that speak plain HTTP: to load the authorities of the web takes longer than many a test."""


class Served:
    """A server in a thread of its own; *client* asks it."""

    def __init__(self, settings, app=None):
        self.settings = settings
        self.port = free_port()
        self.app = app or application(settings)
        self.config = config = uvicorn.Config(
            self.app,
            port=self.port,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            http=Patient,
            timeout_graceful_shutdown=1,
        )
        ours = hasattr(getattr(self.app, "state", None), "streams")
        self._server = Server(config, self.app) if ours else uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        base = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=base, timeout=30, verify=NO_TLS)

    def __enter__(self):
        self._thread.start()
        eventually(lambda: self._server.started)
        return self

    def __exit__(self, *_exc):
        self.client.close()
        self.stop()

    @property
    def alive(self):
        """Whether it still runs."""
        return self._thread.is_alive()

    def stop(self):
        """Stop as SIGTERM does."""
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
