"""A headless Chromium without JavaScript walks the unsubscribe page, in three languages, by keyboard."""

import pytest

from mailer.compose.unsubscribe import TokenSigner
from mailer.config import Settings
from mailer.mail.barring.scopes import BULK
from mailer.mail.recipients import fingerprint
from mailer.store.suppression import Suppression
from mailer.web.application import application
from mailer.web.pages import words
from tests.queues.browser import browser
from tests.web.conftest import Served

pytestmark = [pytest.mark.chromium, pytest.mark.xdist_group("console"), pytest.mark.timeout(600)]

NEWS = "news.shop.example"
LANGUAGES = ("de-CH,de;q=0.9,en;q=0.5", "pl", "fr-FR,en;q=0.8")


class Overheard:
    """Our application, and the head of every request that came to it."""

    def __init__(self, app):
        self._app = app
        self.heads = []

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            self.heads.append((scope["method"], scope["path"], dict(scope["headers"])))
        await self._app(scope, receive, send)


@pytest.fixture
def settings(redis_url, monkeypatch):
    monkeypatch.setenv("KEY", "secret")
    return Settings.model_validate(
        {
            "redis": redis_url,
            "unsubscribe": {"secret_env": "KEY", "lists": {NEWS: "Spring & more"}},
        }
    )


@pytest.fixture
def page(tmp_path):
    with browser(tmp_path / "chromium") as opened:
        opened.emulate(script=False)
        yield opened


def test_a_person_leaves_a_list_and_comes_back_and_leaves_all(settings, client, page):
    overheard = Overheard(application(settings))

    def off(mailbox, mail=NEWS):
        return Suppression(client).among([fingerprint(mailbox)], mail)[0]

    def pressed(tabs, text):
        for _ in range(tabs):
            page.press("Tab")
        page.press("Enter")
        return page.awaited(text)

    with Served(settings, overheard) as served:
        for languages in LANGUAGES:
            said = words()[languages[:2]]
            mailbox = f"{languages[:2]}@example.org"
            token = TokenSigner("secret").token(mailbox, "spring", NEWS)
            page.speak(languages)
            text = page.open(f"http://127.0.0.1:{served.port}/u/{token}", said["ask"])
            assert "Spring & more" in text
            assert page.evaluate("document.documentElement.lang") == languages[:2]
            assert not off(mailbox)

            pressed(1, said["off"])
            assert off(mailbox)
            assert not off(mailbox, BULK)
            pressed(1, said["back"])
            assert not off(mailbox)
            pressed(2, said["off_all"])
            assert off(mailbox, BULK)

        assert page.cookies() == []
    assert {method for method, _, _ in overheard.heads} == {"GET", "POST"}
    for _, path, head in overheard.heads:
        assert path.startswith("/u/") or path == "/favicon.ico"
        assert not {b"cookie", b"referer"} & set(head)
