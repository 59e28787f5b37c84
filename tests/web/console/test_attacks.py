"""What is tried against the console, over every route and every field that comes from outside."""

import re
import time
from html.parser import HTMLParser

import pytest
from starlette.routing import Mount

from mailer.config import Settings
from mailer.history import open_history
from mailer.mail.event import Event
from mailer.mail.message import Message
from mailer.mail.payload import Entry, encode
from mailer.mail.said import Said
from mailer.mail.status import Detail
from mailer.operate import audit
from mailer.operate.audit import Deed
from mailer.operate.barring import suppression
from mailer.store import Store
from mailer.store.breaker import Breaker, Refusal, Trouble
from mailer.store.suppression import Suppressed
from mailer.web.application import application
from mailer.web.console.frame import PREFIX
from tests.operate.test_dead_letters import Place
from tests.web.console.conftest import Console, token_of
from tests.web.console.test_campaigns import made, refused

FORGED = "forged"


(CONSOLE,) = (one for one in application(Settings()).routes if isinstance(one, Mount))


def routes(method):
    """Each path of the console that is asked by *method*, with something in its places."""
    return [
        PREFIX + re.sub(r"\{\w+(:int)?(?::\w+)?\}", lambda hole: "1" if hole[1] else "x", one.path)
        for one in CONSOLE.routes
        if method in one.methods
    ]


ACTS, PAGES = routes("POST"), routes("GET")


def test_all_acts_and_pages_are_among_those_that_are_tried():
    assert len(ACTS) >= 13
    assert len(PAGES) >= 19


# Who asks, and for whom.


def test_nobody_gets_401_everywhere(console):
    for path in [*ACTS, *PAGES]:
        assert console.client.get(path).status_code == 401
        assert console.client.post(path).status_code == 401


def test_no_act_is_done_by_a_viewer_nor_by_a_form_that_is_not_from_here(console, settings):
    for path in ACTS:
        theirs = token_of(console.operator.get("/console/suppression").text)
        for client, fields, headers in (
            (console.viewer, {"token": theirs}, {}),
            (console.operator, {}, {}),
            (console.operator, {"token": theirs + "x"}, {}),
            (console.operator, {"token": theirs}, {"Origin": "https://evil.example"}),
            (console.operator, {"token": theirs}, {"Origin": "null"}),
            (console.operator, {"token": theirs}, {"Sec-Fetch-Site": "cross-site"}),
            (console.operator, {"token": theirs}, {"Sec-Fetch-Site": "same-site"}),
        ):
            answer = client.post(path, data={"address": "a@x.example", **fields}, headers=headers)
            assert answer.status_code == 403, (fields, headers)
        assert list(audit.newest(settings, 9)) == []


def test_no_act_is_done_by_get(console, settings):
    for path in sorted(set(ACTS) - set(PAGES)):
        token = token_of(console.operator.get("/console/suppression").text)
        asked = console.operator.get(path, params={"token": token, "address": "a@x.example"})
        assert asked.status_code in (400, 404, 405), path
        assert list(audit.newest(settings, 9)) == []


def test_wherever_an_act_leads_it_is_here(console):
    for path in ACTS:
        there = path.replace("/x", "/%2F%2Fevil.example")
        token = token_of(console.operator.get("/console/suppression").text)
        fields = {"token": token, "account": "//evil.example", "row": "https://evil.example"}
        for asked in (path, there):
            answer = console.operator.post(asked, data=fields)
            assert answer.headers.get("location", "/console/").startswith("/console/")


def test_no_page_is_kept_framed_or_guessed_at(console):
    for path in PAGES:
        once = {"once": "1"} if path.endswith("/live") else {}
        headers = console.viewer.get(path, params=once).headers
        assert "no-store" in headers["cache-control"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "'unsafe-inline'" not in headers["content-security-policy"]


# Markup in every field that comes from outside.

MARKUP = (
    "'\"--></title></textarea><script>forged()</script><img src=forged onerror=forged()>{{7*7}}"
)
IN_HEADER = '=?utf-8?q?<script>forged()</script>?= "><img src=forged>'


class Elements(HTMLParser):
    """Which elements a page has, as a browser reads it."""

    def __init__(self):
        super().__init__()
        self.bad = []

    def handle_starttag(self, tag, attributes):
        own = tag == "script" and any(
            name == "src" and value.startswith("/static/") for name, value in attributes
        )
        handlers = [name for name, _ in attributes if name.startswith("on")]
        links = [
            value
            for name, value in attributes
            if name in ("href", "src", "action") and not re.match(r"[/#?]|$", value or "")
        ]
        if (tag in ("script", "img", "style", "object", "base") and not own) or handlers or links:
            self.bad.append((tag, attributes))


def _mail():
    head = f"Subject: {IN_HEADER}\r\nX-Odd: {MARKUP}\r\nFrom: {IN_HEADER} <a@x.example>\r\n"
    parts = (
        'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
        f"--b\r\nContent-Type: text/plain\r\n\r\n{MARKUP}\r\n"
        '--b\r\nContent-Type: text/plain; name="<script>forged()</script>.txt"\r\n'
        'Content-Disposition: attachment; filename="<script>forged()</script>.txt"\r\n\r\nx\r\n'
        "--b--\r\n"
    )
    return (head + parts).encode()


@pytest.fixture
def hostile(client, redis_url, settings, tmp_path):
    """A cluster in which everything that comes from outside is markup."""
    now, url = time.time(), f"sqlite:///{tmp_path}/history.db"
    where = {"history": settings.history.model_copy(update={"url": url})}
    made(
        client,
        "spring",
        3,
        template=MARKUP,
        sender=MARKUP,
        reply_to=MARKUP,
        account=MARKUP,
        attachments=[MARKUP],
    )
    detail = Detail(f"{MARKUP}@x.example", MARKUP, 550, MARKUP, MARKUP, MARKUP, MARKUP, 1, now, now)
    refused(client, "spring", [detail])
    client.hset("mailer:campaign:spring", "why", MARKUP)
    place = Place(client, redis_url)
    message = Message(f"{MARKUP}@a", f"{MARKUP}@b", (_mail(),), f"<{MARKUP}@x>")
    said = Said(MARKUP, 535, MARKUP, MARKUP, MARKUP, MARKUP, 1, (MARKUP,))
    place.bury(
        range(1),
        reason=MARKUP,
        campaign="autumn",
        said=said,
        payload=encode([Entry(message, b"f" * 8)]),
    )
    trouble = Refusal(Trouble.STOPS, MARKUP, said)
    Breaker(client).refused("primary", "somebody", trouble, now)
    Breaker(client).refused(MARKUP, "somebody", trouble, now)
    entry = Suppressed("a@x.example", MARKUP, now, None, MARKUP, MARKUP, "all")
    Store(client).suppression.add([(b"f" * 8, entry)])
    suppression.add("b@x.example", reason=MARKUP, scope="news.shop.example", settings=settings)
    audit.note(settings, Deed(MARKUP, MARKUP, MARKUP, MARKUP))
    history = open_history(url)
    history.upgrade()
    history.write(
        [
            Event(
                "spring",
                0,
                "rejected",
                now,
                account=MARKUP,
                mailbox=f"{MARKUP}@x.example",
                message_id=f"<{MARKUP}>",
                stage=MARKUP,
                reply=MARKUP,
                order=1,
            )
        ]
    )
    history.close()
    folder = settings.templates / "<script>forged()<"
    folder.mkdir(parents=True)
    (folder / "subject.txt").write_text("{{ name }}")
    (folder / "body.html").write_text(f"<p>{{{{ name }}}}</p>{MARKUP}")
    with Console(settings.model_copy(update=where)) as console:
        yield console, place.office


def pages_of(console, office):
    """All pages that show something of it."""
    from mailer.store.dead_letters import Filter  # noqa: PLC0415 - only here

    (letter,) = office.find(Filter(), time.time())
    dead = f"/dead/{letter.identifier}"
    tests = f'/templates/of/%3Cscript%3Eforged()%3C?row={{"email":"a@x.example","name":"{MARKUP}'
    return [
        "/campaigns",
        f"/campaigns?name={MARKUP}&state={MARKUP}",
        "/campaigns/spring",
        "/campaigns/spring/cancel",
        f"/campaigns/{MARKUP.replace('/', '%2F')}",
        "/messages?campaign=spring",
        f"/messages?what={MARKUP}&campaign={MARKUP}",
        "/messages/spring/0",
        "/dead",
        f"/dead?reason={MARKUP}",
        f"/dead/purge?reason={MARKUP}&account={MARKUP}&identifier={MARKUP}",
        f"/dead/replay?reason={MARKUP}&account={MARKUP}",
        dead,
        f"{dead}/0",
        "/accounts",
        "/suppression",
        f"/suppression?address={MARKUP}&scope={MARKUP}&reason={MARKUP}",
        "/templates",
        tests,
        "/audit",
        f"/audit?before={MARKUP}&note={MARKUP}",
        f"/nothing/{MARKUP.replace('/', '%2F')}",
    ]


def test_markup_in_any_field_from_outside_is_text_on_every_page(hostile):
    console, office = hostile
    shown = 0
    for path in pages_of(console, office):
        text = console.operator.get(f"/console{path}").text
        found = Elements()
        found.feed(text)
        assert found.bad == [], path
        assert "49" not in re.findall(r"onerror=forged\(\)&gt;(\d+)", text), path
        shown += "forged()" in text
    assert shown >= 14  # what would have run is there, as text


def test_markup_in_live_figures_is_text(hostile):
    console, _ = hostile
    html = console.operator.get("/console/campaigns/spring/live?once=1").json()["html"]
    found = Elements()
    found.feed(html)
    assert found.bad == []
