"""Dead letters in the console: by kind, one by one, replayed and purged; never by accident."""

import html
import time

import pytest

from mailer.mail.message import Message
from mailer.mail.payload import Entry, encode
from mailer.mail.said import Said
from mailer.operate import audit
from mailer.operate.dead_letters import REASONS
from mailer.store.dead_letters import Filter
from mailer.web.console import dead_letters
from tests.operate.test_dead_letters import Place
from tests.web.console.conftest import note_of, token_of

MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


@pytest.fixture
def settings(settings):
    accounts = {**settings.accounts, "backup": settings.accounts["primary"]}
    return settings.model_copy(update={"accounts": accounts})


@pytest.fixture
def place(client, redis_url):
    made = Place(client, redis_url)
    made.bury(range(3), reason="exhausted")
    made.bury(range(3, 8), reason="poison")
    made.bury(range(8, 9), reason="exhausted", campaign="autumn")
    return made


def mail(content):
    return encode([Entry(Message("a@shop.example", "b@x.example", (content,), "<1@x>"), b"f" * 8)])


def left(place):
    return {(one.campaign, one.reason) for one in place.office.find(Filter(), time.time())}


def test_nothing_dead_is_said(console):
    assert "There are no dead letters" in console.operator.get("/console/dead").text


def test_kinds_are_counted_and_filtered(console, place):
    text = console.operator.get("/console/dead").text
    assert "9 messages in 3 letters" in text
    text = console.operator.get("/console/dead?campaign=autumn").text
    assert "1 message in 1 letter" in text
    assert "autumn:1" in text
    assert "spring:1" not in text
    assert "0 messages in 0 letters" in console.operator.get("/console/dead?reason=auth").text


def test_what_to_do_is_said_for_each_reason(console, place):
    text = console.operator.get("/console/dead").text
    assert "Replay when the cause is gone" in text
    assert "Look at the message before you replay" in text
    assert "The server refused the login" not in text
    assert "What to do" in console.operator.get("/console/dead/spring:1.1.rest").text
    assert set(dead_letters._ADVICE) == set(REASONS)


def test_a_kind_is_replayed(console, place, settings):
    answer = console.press(
        "/console/dead/replay", "/console/dead", reason="exhausted", campaign="spring"
    )
    assert "3 messages will be sent again" in note_of(console.operator, answer)
    assert left(place) == {("spring", "poison"), ("autumn", "exhausted")}
    assert place.outcomes()["queued"] == 3
    (deed,) = audit.newest(settings, 5)
    assert (deed.what, deed.about) == ("replay dead letters", "spring exhausted")


def test_one_is_replayed_once(console, place):
    fields = {"identifier": "spring:1.1.rest"}
    first = console.press("/console/dead/replay", "/console/dead", **fields)
    assert "3 messages" in note_of(console.operator, first)
    second = console.press("/console/dead/replay", "/console/dead", **fields)
    assert "no dead letter" in note_of(console.operator, second)
    assert place.outcomes()["queued"] == 3


def test_a_kind_goes_out_through_another_account(console, place, settings, client):
    place.breaker.stop("primary", "operator", time.time())
    question = console.operator.get("/console/dead/replay?reason=poison&campaign=spring")
    assert "Replay 5 messages through another account?" in question.text
    assert '<option value="primary" disabled>primary (stopped)</option>' in question.text
    assert '<option value="backup">backup (unknown)</option>' in question.text
    fields = {"reason": "poison", "campaign": "spring", "through": "backup"}
    answer = console.press("/console/dead/replay", "/console/dead/replay?reason=poison", **fields)
    assert "5 messages will be sent again through backup" in note_of(console.operator, answer)
    (ref,) = client.zrange("mailer:queued:bulk", 0, -1)
    assert client.hget(b"mailer:batch:" + ref, "account") == b"backup"
    (deed,) = audit.newest(settings, 5)
    assert deed.about == "spring poison through backup"


@pytest.mark.parametrize(
    ("field", "value", "said"), [("through", "nobody", "nobody"), ("sender", "x", "sender")]
)
def test_an_account_or_a_sender_that_is_none_is_told(console, place, field, value, said):
    fields = {"reason": "poison", field: value}
    answer = console.press("/console/dead/replay", "/console/dead/replay?reason=poison", **fields)
    assert said in note_of(console.operator, answer)
    assert len(left(place)) == 3


def test_purging_is_asked_before_it_is_done(console, place):
    question = console.operator.get("/console/dead/purge?reason=poison&account=primary")
    assert "Purge 5 messages?" in question.text
    assert len(left(place)) == 3
    answer = console.operator.post(
        "/console/dead/purge",
        data={"token": token_of(question.text), "reason": "poison", "account": "primary"},
    )
    assert "5 messages dropped" in note_of(console.operator, answer)
    assert left(place) == {("spring", "exhausted"), ("autumn", "exhausted")}
    assert place.outcomes()["dropped"] == 5


@pytest.mark.parametrize("act", ["replay", "purge"])
def test_an_act_that_names_none_touches_none(console, place, act):
    answer = console.press(f"/console/dead/{act}", "/console/dead", reason="", account="")
    assert "which ones" in note_of(console.operator, answer)
    assert len(left(place)) == 3


def test_letters_of_a_stopped_account_stay(console, place):
    place.breaker.stop("primary", "operator", time.time())
    answer = console.press("/console/dead/replay", "/console/dead", reason="poison")
    assert "is stopped" in note_of(console.operator, answer)
    assert len(left(place)) == 3


@pytest.mark.parametrize("act", ["replay", "purge"])
def test_a_viewer_sees_and_moves_nothing(console, place, act):
    for path in (
        "/console/dead",
        "/console/dead/purge?reason=poison",
        "/console/dead/replay?reason=poison",
        "/console/dead/spring:1.1.rest",
    ):
        assert 'method="post"' not in console.viewer.get(path).text
    token = token_of(console.operator.get("/console/dead").text)
    answer = console.viewer.post(f"/console/dead/{act}", data={"token": token, "reason": "poison"})
    assert answer.status_code == 403
    assert len(left(place)) == 3


def test_a_letter_shows_what_was_said_and_its_messages(console, place, client):
    said = Said("DATA", 554, "5.7.1", "no " + MARKUP, "a", "b", 1, (f"S: 554 {MARKUP}",))
    place.bury([50], reason="poison", said=said, campaign="xss")
    text = console.operator.get("/console/dead/xss:1.1.rest").text
    assert html.escape(MARKUP, quote=False)[:30] in text
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert "<script>alert" not in console.operator.get("/console/dead").text
    assert console.operator.get("/console/dead/none").status_code == 400


def test_an_unreadable_letter_says_so(console, place):
    place.bury([60], reason="undecodable", campaign="odd", payload=b"Mnonsense")
    assert "payload" in console.operator.get("/console/dead/odd:1.1.rest").text
    assert console.operator.get("/console/dead/odd:1.1.rest/0").status_code == 400


HOSTILE = (
    b"Subject: =?utf-8?q?<script>alert(1)</script>?=\r\nFrom: a@b\r\nX-Odd: "
    + MARKUP.encode()
    + b"\r\n"
    b"Content-Type: text/html; charset=utf-8\r\n\r\n"
    b"<script>top.location='https://evil.example'</script><form action='https://evil.example'>"
    b"<img src='https://evil.example/pixel.gif'></form>\r\n"
)


@pytest.mark.parametrize(
    "content",
    [
        HOSTILE,
        b"",
        b"\r\n\r\n",
        b"\x00\xff\r\n",
        b"Content-Type: multipart/mixed\r\n\r\nx",
        b"To: " + b"<" * 5000,
    ],
    ids=["hostile", "empty", "no headers", "octets", "broken parts", "broken field"],
)
def test_a_message_is_shown_as_text_and_its_html_only_in_a_sandbox(console, place, content):
    place.bury([70], reason="poison", campaign="mail", payload=mail(content))
    page = console.operator.get("/console/dead/mail:1.1.rest/0")
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "<script>top" not in page.text
    assert "https://evil.example/pixel" not in page.text or "&lt;img" in page.text
    if content is HOSTILE:
        assert '<iframe class="wide" sandbox title=' in page.text


@pytest.mark.parametrize("query", ["", "?dark=1"])
def test_the_frame_of_a_mail_forbids_everything(console, place, query):
    place.bury([70], reason="poison", campaign="mail", payload=mail(HOSTILE))
    path = "/console/dead/mail:1.1.rest/0/html"
    assert console.client.get(path).status_code == 401
    headers = console.operator.get(path + query).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "img-src data:" in policy
    assert policy.endswith("; sandbox")
    assert "script-src" not in policy
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert console.operator.get("/console/dead/mail:1.1.rest/9/html").status_code == 404
