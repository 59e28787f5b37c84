"""A provider's one click in its plainest form: many at once, and each is answered for itself."""

import asyncio

import httpx
import pytest

from mailer.compose.unsubscribe import TokenSigner
from mailer.config import Settings
from mailer.mail.barring.scopes import BULK
from mailer.mail.recipients import fingerprint
from mailer.store.events import EventStream
from mailer.store.feedback.records import Feedback
from mailer.store.suppression import Suppression
from mailer.web.application import application
from tests.store.batches import open_campaign

NEWS = "news.shop.example"
PRESSED = {"content": b"List-Unsubscribe=One-Click"}


@pytest.fixture
def settings(redis_url, monkeypatch):
    monkeypatch.setenv("KEY", "secret")
    return Settings.model_validate({"redis": redis_url, "unsubscribe": {"secret_env": "KEY"}})


def post_all(settings, tokens, **how):
    """POST each token's link at the same time; the answers."""

    async def visit():
        transport = httpx.ASGITransport(app=application(settings))
        async with httpx.AsyncClient(transport=transport, base_url="https://x.example") as provider:
            posts = [provider.post(f"/u/{one}", **(how or PRESSED)) for one in tokens]
            return await asyncio.gather(*posts)

    return asyncio.run(visit())


def token(number, campaign="spring", list_id=NEWS):
    return TokenSigner("secret").token(f"u{number}@example.org", campaign, list_id)


def off(client, numbers, mail=NEWS):
    keys = [fingerprint(f"u{number}@example.org") for number in numbers]
    return sum(Suppression(client).among(keys, mail))


def test_many_at_once_each_with_its_own_answer(settings, client):
    open_campaign(client)
    EventStream(client).take("events")
    tokens = [token(number) for number in range(150)]
    # The same again, a campaign that Redis has forgotten, one without a List-ID, and forged ones.
    tokens += [token(7), token(150, "of-years-ago"), token(151, list_id="")]
    forged = [TokenSigner("another").token("u1@example.org", "spring"), token(1)[:-2], "x" * 50]
    answers = post_all(settings, [*tokens, *forged])

    assert [one.status_code for one in answers] == [200] * len(tokens) + [404] * len(forged)
    assert {one.text for one in answers[: len(tokens)]} == {"unsubscribed\n"}
    assert off(client, range(152)) == 152
    assert off(client, range(151), BULK) == 0
    assert off(client, [151], BULK) == 1
    assert Feedback(client).counts("spring") == {"unsubscribe": 151}
    told = [event.mailbox for event in EventStream(client).read("events", 500).events]
    assert sorted(told) == sorted(f"u{number}@example.org" for number in range(152))


@pytest.mark.parametrize("content", [b"List-Unsubscribe=One-Click", b""])
def test_the_answer_forbids_what_every_answer_forbids(settings, client, content):
    (answer,) = post_all(settings, [token(1)], content=content)
    assert answer.text == "unsubscribed\n"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-robots-tag"].startswith("noindex")
    assert "set-cookie" not in answer.headers


def test_a_body_that_is_no_one_click_goes_to_the_page(settings, client):
    (page,) = post_all(settings, [token(1)], data={"do": "leave"})
    assert page.headers["content-type"].startswith("text/html")
    assert off(client, [1]) == 1
    (page,) = post_all(settings, [token(1)], data={"do": "undo"})
    assert off(client, [1]) == 0


def test_without_redis_all_are_told_to_come_again(settings):
    away = settings.model_copy(update={"redis": "redis://127.0.0.1:1/0"})
    answers = post_all(away, [token(number) for number in range(3)])
    assert {(one.status_code, one.headers["retry-after"]) for one in answers} == {(503, "60")}
