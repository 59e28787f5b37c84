"""The console as it is served: to an operator, to one who may look, to nobody."""

import re

import httpx
import pytest

from mailer.config import Settings
from mailer.web.application import application
from tests.web.conftest import NO_TLS, Served

PASSWORDS = {"ada": "ada's long password", "vic": "vic's long password"}
HASHES = {
    "ada": "scrypt$10$1$1$YWRhJ3Mgc2FsdC4uLi4uLg==$O4AHnJR+1M627sLlfeApiJNRUmCbef77YC7JuRFD3k8=",
    "vic": "scrypt$10$1$1$dmljJ3Mgc2FsdC4uLi4uLg==$UnmrETKSDr3esxh/t9/xZuaOnBPdwSuPt5x8ro9V0MQ=",
}
"""As `hashed` makes them, at the least cost that is taken: each test logs somebody in."""
USERS = {
    "ada": {"password": HASHES["ada"], "role": "operator"},
    "vic": {"password": HASHES["vic"]},
}


class Console(Served):
    """A server of the console; *operator* and *viewer* are logged in."""

    def __init__(self, settings, app=None, **options):
        super().__init__(settings, app or application(settings, **options))
        self.operator = self.client_of("ada")
        self.viewer = self.client_of("vic")

    def client_of(self, name, **headers):
        login = (name, PASSWORDS[name]) if name else None
        base = f"http://127.0.0.1:{self.port}"
        return httpx.Client(base_url=base, auth=login, timeout=30, headers=headers, verify=NO_TLS)

    def __exit__(self, *exc):
        self.operator.close()
        self.viewer.close()
        super().__exit__(*exc)

    def press(self, path, page, client=None, headers=None, **fields):
        """Press a button of *page* that posts to *path*, as a browser does."""
        asks = client or self.operator
        token = token_of(asks.get(page).text)
        return asks.post(path, data={"token": token, **fields}, headers=headers)


def token_of(text):
    found = re.search(r'name="token" value="([^"]+)"', text)
    return found[1] if found else ""


def note_of(client, answer):
    """What the page says that a browser is sent to."""
    assert answer.status_code == 303, answer.text
    page = client.get(answer.headers["location"])
    assert page.status_code == 200
    (said,) = re.findall(r'<div class="note (?:good|bad)" role="\w+"><p>(.*?)</p>', page.text)
    return said


@pytest.fixture
def settings(redis_url, tmp_path):
    return Settings.model_validate(
        {
            "redis": redis_url,
            "sender": "news@shop.example",
            "templates": str(tmp_path / "templates"),
            "accounts": {"primary": {"url": "smtp://localhost:1", "rate": "100/hour"}},
            "web": {"users": USERS},
        }
    )


@pytest.fixture
def console(settings):
    with Console(settings) as server:
        yield server
