"""Messages in the console: found with a history and without, each with its way and what is left of it."""

import json
import re
from urllib.parse import quote

import pytest

from mailer import Campaign
from mailer.history import open_history
from mailer.mail.event import Event
from mailer.mail.recipients import fingerprint
from mailer.mail.status import Detail, Status
from mailer.operate.messages import SIZE
from mailer.store import keys
from mailer.store.feedback.records import Brake, Feedback, Note, Returned
from tests.web.console.conftest import Console

MARKUP = "<script>alert(1)</script>"


@pytest.fixture
def template(tmp_path):
    folder = tmp_path / "templates/news"
    folder.mkdir(parents=True)
    (folder / "subject.txt").write_text("Hello {{ name }}")
    (folder / "body.html").write_text("<p>Dear {{ name }}, <img src='cid:dot.png'></p>")
    (folder / "dot.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 100)


def queued(settings, number, name="spring", **options):
    campaign = Campaign(name, template="news", settings=settings, **options)
    campaign.enqueue([{"email": f"r{n}@a.example", "name": f"R{n}"} for n in range(number)])


@pytest.fixture
def with_history(settings, tmp_path):
    url = f"sqlite:///{tmp_path}/history.db"
    history = open_history(url)
    history.upgrade()
    yield (
        settings.model_copy(update={"history": settings.history.model_copy(update={"url": url})}),
        history,
    )
    history.close()


def told(position, outcome, at=1000.0, **fields):
    return Event(
        "spring",
        position,
        outcome,
        at,
        account="primary",
        mailbox=f"r{position}@a.example",
        message_id=f"<{position}@shop.example>",
        order=int(at),
        **fields,
    )


def found(text):
    return re.findall(r'<th scope="row" class="to"><a href="([^"]+)">([^<]+)</a>', text)


# Without a history.


def test_a_mailbox_is_found_in_the_ledger(console, settings, template):
    queued(settings, 5)
    queued(settings, 5, "autumn")
    text = console.operator.get("/console/messages?what=R3@a.example").text
    assert [path for path, _ in found(text)] == [
        "/console/messages/autumn/3",
        "/console/messages/spring/3",
    ]
    assert "[history]" in text
    assert found(console.operator.get("/console/messages?what=r3@a.example&campaign=spring").text)[
        0
    ][0].endswith("spring/3")


def test_a_message_id_that_only_a_history_would_know_says_so(console, settings, template):
    for what in ("<1@shop.example>", "1.shop.example"):
        page = console.operator.get("/console/messages", params={"what": what})
        assert page.status_code == 200
        assert "No message fits" in page.text
        assert "[history]" in page.text


def test_a_campaigns_messages_go_page_by_page(console, settings, template, client):
    queued(settings, SIZE + 7)
    client.setrange(keys.status("spring"), 3, Status.REJECTED.value)
    first = console.operator.get("/console/messages?campaign=spring").text
    assert len(found(first)) == SIZE
    (further,) = re.findall(r'href="([^"]+)">Further', first)
    assert len(found(console.operator.get(further.replace("&amp;", "&")).text)) == 7
    only = console.operator.get("/console/messages?campaign=spring&outcome=rejected").text
    assert [path for path, _ in found(only)] == ["/console/messages/spring/3"]
    assert "no campaign" in console.operator.get("/console/messages?campaign=none").text


def test_a_queued_message_is_shown_as_it_will_be_sent(console, settings, template):
    queued(settings, 3)
    text = console.operator.get("/console/messages/spring/1").text
    assert "Hello R1" in text
    assert "Dear R1" in text
    assert "r1@a.example" in text
    frame = console.operator.get("/console/messages/spring/1/html")
    assert "Dear R1" in frame.text
    assert "data:image/png;base64," in frame.text
    assert frame.headers["content-security-policy"].endswith("sandbox")


def test_what_came_back_is_told_without_a_history_too(console, settings, template, client):
    queued(settings, 3)
    back = Returned(
        "bounce", "r1@a.example", 5.0, "5.1.1", permanent=True, said="no such user", source="lmtp"
    )
    Feedback(client).note(Note("spring", fingerprint("r1@a.example"), back, None, Brake()))
    text = console.operator.get("/console/messages/spring/1").text
    assert "bounced" in text
    assert "5.1.1 no such user" in text
    assert "<dt>Outcome</dt><dd>queued</dd>" in text
    listed = console.operator.get("/console/messages?campaign=spring").text
    assert listed.count('<span class="badge s-bounced">') == 1
    for query, number in (
        ("campaign=spring&outcome=bounced", 1),
        ("campaign=spring&outcome=complained", 0),
        ("what=r1@a.example&outcome=bounced", 1),
        ("what=r1@a.example&outcome=accepted", 0),
        ("what=r1@a.example", 1),
    ):
        assert len(found(console.operator.get(f"/console/messages?{query}").text)) == number, query


def test_what_was_sent_is_here_no_more_and_it_is_said(console, settings, template, client):
    queued(settings, 3)
    client.delete("mailer:batch:spring:1", "mailer:payload:spring:1")
    detail = Detail("r1@a.example", "RCPT", 550, "5.1.1", MARKUP, "fail", "rule", 2, 1.0, 5.0)
    from mailer.mail.payload import encode_detail  # noqa: PLC0415

    client.hset(keys.detail("spring"), "1", encode_detail(detail))
    text = console.operator.get("/console/messages/spring/1").text
    assert "not here any more" in text
    assert "&lt;script&gt;" in text
    assert console.operator.get("/console/messages/spring/1/html").status_code == 404


@pytest.mark.parametrize(
    "path", ["spring/99", "none/0", "spring/-1", "spring/x", "spring/9999999999999999999999"]
)
def test_a_message_that_is_none_is_an_error_in_words(console, settings, template, path):
    queued(settings, 3)
    assert console.operator.get(f"/console/messages/{path}").status_code in (400, 404)


# With one.


def test_each_step_is_told_with_its_reply_and_what_came_back(with_history, template):
    settings, history = with_history
    queued(settings, 2)
    row = json.dumps({"email": "r1@a.example", "city": MARKUP})
    history.write(
        [
            told(1, "queued", 1000.0, row=row),
            told(1, "deferred", 1010.0, attempt=1, stage="RCPT", code=451, reply="451 4.7.1 later"),
            told(1, "accepted", 1300.0, attempt=2, stage="DATA", reply=f"250 ok as {MARKUP}"),
            told(1, "bounced", 2000.0, stage="webhook", reply="550 5.1.1 gone"),
        ]
    )
    with Console(settings) as server:
        text = server.operator.get("/console/messages/spring/1").text
        words = re.sub(r"<[^>]+>", " ", text)
        places = [words.index(one) for one in ("451 4.7.1 later", "250 ok as", "550 5.1.1 gone")]
        assert places == sorted(places)
        assert MARKUP not in text
        assert "city" in text
        for what in ("r1@a.example", "<1@shop.example>"):
            hit = server.operator.get("/console/messages", params={"what": what}).text
            assert [path for path, _ in found(hit)] == ["/console/messages/spring/1"]
        listed = server.operator.get("/console/messages?campaign=spring").text
        assert "bounced" in listed


def test_a_history_that_is_away_is_said(settings, template, tmp_path):
    away = settings.model_copy(
        update={
            "history": settings.history.model_copy(
                update={"url": f"sqlite:///{tmp_path}/none/history.db"}
            )
        }
    )
    with Console(away) as server:
        answer = server.operator.get("/console/messages?what=r1@a.example")
    assert answer.status_code == 503
    assert "history" in answer.text


@pytest.mark.parametrize("field", ["what", "campaign", "outcome"])
def test_what_is_searched_is_shown_as_text(console, field):
    text = console.operator.get(f"/console/messages?{field}={quote(MARKUP + '@x.example')}").text
    assert MARKUP not in text
