"""`mailer trace` and `mailer export`: who got it, when, and what the server said."""

import csv
import io
import json
from contextlib import closing
from functools import partial

import pytest

from mailer import Campaign, send, trace
from mailer.config import load
from mailer.history import open_history
from mailer.mail.event import Event, Happened, encode_outcomes
from mailer.mail.recipients import fingerprint
from mailer.mail.said import Said
from mailer.mail.status import Detail, Status
from mailer.store.events import EventStream
from mailer.store.feedback.records import Brake, Feedback, Note, Returned
from mailer.store.ledger import Burial, Ledger, Settlement
from mailer.store.retention.forgetting import Forgetting
from mailer.worker.followers import Follower
from mailer.worker.history_writer import HistoryWriter
from tests.worker.following import read_all

HELLO = ("--template", "hello", "--set", "season=spring")
NOW = 1_800_000_000.0


@pytest.fixture
def history(place):
    """The folder's configuration names a history, which has its tables."""
    url = f"sqlite:///{place}/history.sqlite"
    with (place / "mailer.toml").open("a") as file:
        file.write(f'[history]\nurl = "{url}"\n')
    with closing(open_history(url)) as opened:
        opened.upgrade()


def sent(mailer, client):
    """ada is accepted, bob rejected."""
    assert mailer("send", "spring", *HELLO, "people.csv").code == 0
    ledger = Ledger(client)
    claimed = ledger.claim("spring:1", "w1", NOW, NOW + 15)
    ok = Detail("", "final", 250, "2.0.0", "Ok: queued as 4B1C", attempts=1)
    no = Detail("bob@example.org", "RCPT", 550, "5.1.1", "no such user", attempts=1, at=NOW)
    happened = [
        Happened(0, Status.ACCEPTED, "ada@example.org", "<0@x.example>", ok),
        Happened(1, Status.REJECTED, "bob@example.org", "<1@x>", no),
    ]
    told = encode_outcomes("spring:1", claimed.fence, "primary", NOW, happened)
    settled = [Settlement(0, Status.ACCEPTED), Settlement(1, Status.REJECTED, no)]
    ledger.commit(claimed, settled, (), NOW, NOW + 15, told)


def followed(client, place):
    writer = HistoryWriter(load(place / "mailer.toml", {}), client)
    read_all(Follower(client, writer))
    writer.close()


def test_trace_shows_the_servers_reply_with_its_queue_id(mailer, client, place, history):
    sent(mailer, client)
    followed(client, place)

    ran = mailer("trace", "ADA@example.org")
    assert (ran.code, ran.err) == (0, "")
    assert "spring: accepted" in ran.out
    assert "250 2.0.0 Ok: queued as 4B1C" in ran.out
    (found,) = json.loads(mailer("trace", "<1@x>", "--json").out)
    assert (found["mailbox"], found["outcome"]) == ("bob@example.org", "rejected")


def test_a_row_with_columns_of_its_own_loses_none_in_csv(mailer, client, place, history):
    EventStream(client).register("history")
    rows = [
        {"email": "ada@example.org", "name": "Ada"},
        {"email": "bob@example.org", "name": "Bob", "city": "Rome", "reply": "soon"},
    ]
    (place / "people.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert mailer("send", "spring", *HELLO, "people.jsonl").code == 0
    followed(client, place)
    with closing(open_history(f"sqlite:///{place}/history.sqlite")) as opened:
        opened.erase("ada@example.org")
        opened.write([Event("spring", 0, "accepted", NOW, order=1)])  # as mending puts it in

    for command in ("export", "failures"):
        if command == "failures":
            ledger = Ledger(client)
            claimed = ledger.claim("spring:1", "w1", NOW, NOW + 15)
            no = [Detail(row["email"], "RCPT", 550, "", "no", at=NOW) for row in rows]
            settled = [Settlement(n, Status.REJECTED, one) for n, one in enumerate(no)]
            ledger.commit(claimed, settled, (), NOW, NOW + 15)
        first, last = csv.DictReader(io.StringIO(mailer(command, "spring", "--csv").out))
        assert (first["name"], last["name"], last["city"]) == ("", "Bob", "Rome")
        assert last["reply" if command == "export" else "row_reply"] == "soon"


def test_a_time_that_is_not_known_is_an_empty_cell(mailer, client, place):
    sent(mailer, client)
    first, _ = csv.DictReader(io.StringIO(mailer("export", "spring").out))
    assert (first["mailer_outcome"], first["mailer_at"]) == ("accepted", "")


@pytest.mark.parametrize("with_history", [True, False])
def test_a_message_id_is_found_without_its_brackets_and_in_capitals(
    mailer, client, place, request, with_history
):
    if with_history:
        request.getfixturevalue("history")
        EventStream(client).register("history")
    assert mailer("send", "spring", *HELLO, "people.csv").code == 0
    if with_history:
        followed(client, place)
    settings = load(place / "mailer.toml", {})
    campaign = Campaign(
        "spring",
        template="hello",
        sender="Shop <news@shop.example>",
        context={"season": "spring"},
        settings=settings,
    )
    message_id = campaign.message({"email": "ada@example.org", "name": "Ada"})["Message-ID"]

    bare = message_id.strip("<>")
    for spelled in (message_id, bare, bare.upper(), message_id.upper(), f" {bare} "):
        assert mailer("trace", spelled).out.startswith("spring: queued"), spelled
    assert "nothing is known" in mailer("trace", f"f{bare[1:-1]}x").out


def bounced(client, mailbox="bob@example.org"):
    """Write down that the message to *mailbox* came back, as a reader of bounces does."""
    feedback, key = Feedback(client), fingerprint(mailbox)
    one = Returned(
        "bounce", mailbox, NOW + 60, "5.1.1", 550, "mailbox_unknown", True, "no such user", "imap"
    )
    told = partial(feedback.told, "spring", key, one)
    assert feedback.note(Note("spring", key, one, None, Brake(None, None), told)).answer == "new"


def test_what_came_back_is_shown_with_its_reason_by_trace_export_and_python(
    mailer, client, place, history
):
    stream = EventStream(client)
    stream.take("history")
    stream.leave("history")
    sent(mailer, client)
    bounced(client, "ada@example.org")
    followed(client, place)
    settings = load(place / "mailer.toml", {})
    campaign = Campaign("spring", template="hello", sender="a@b.example", settings=settings)

    ran = mailer("trace", "ada@example.org").out
    assert "spring: accepted, later bounced" in ran
    assert "bounced mailbox_unknown: 5.1.1 no such user" in ran
    assert "250 2.0.0 Ok: queued as 4B1C" in ran
    (row,) = csv.DictReader(io.StringIO(mailer("export", "spring", "--outcome", "bounced").out))
    assert (row["email"], row["mailer_later"]) == ("ada@example.org", "bounced")
    assert [one.later for one in campaign.outcomes()] == ["bounced", ""]
    assert "1 bounced" in mailer("status", "spring").out


def test_without_a_history_trace_shows_what_came_back_too(mailer, client):
    sent(mailer, client)
    bounced(client, "ada@example.org")

    ran = mailer("trace", "ada@example.org")

    assert "spring: accepted, later bounced" in ran.out
    assert "bounced mailbox_unknown: 5.1.1 no such user" in ran.out


def test_export_has_the_rows_own_columns_and_can_be_sent_to_again(mailer, client, place, history):
    sent(mailer, client)
    followed(client, place)

    ran = mailer("export", "spring", "--outcome", "rejected")

    (row,) = csv.DictReader(io.StringIO(ran.out))
    assert (row["email"], row["name"], row["mailer_outcome"]) == (
        "bob@example.org",
        "Bob",
        "rejected",
    )
    (place / "again.csv").write_text(ran.out)
    again = mailer("send", "spring-2", *HELLO, "again.csv")
    assert "1 queued" in again.out


def test_python_has_the_same(mailer, client, place, history):
    sent(mailer, client)
    followed(client, place)
    settings = load(place / "mailer.toml", {})
    campaign = Campaign("spring", template="hello", sender="a@b.example", settings=settings)

    assert [one.outcome for one in campaign.outcomes()] == ["accepted", "rejected"]
    assert trace("ada@example.org", settings)[0].reply == "250 2.0.0 Ok: queued as 4B1C"


def test_without_a_history_trace_says_what_the_ledger_knows(mailer, client):
    sent(mailer, client)

    assert "spring: accepted" in mailer("trace", "ada@example.org").out
    bob = mailer("trace", "bob@example.org").out
    assert "RCPT: 550 5.1.1 no such user" in bob
    assert "[history] keeps them" in bob
    assert "nothing is known" in mailer("trace", "eve@example.org").out


def test_without_a_history_a_campaigns_message_is_found_by_its_message_id(mailer, client, place):
    sent(mailer, client)
    settings = load(place / "mailer.toml", {})
    campaign = Campaign("spring", template="hello", context={"season": "spring"}, settings=settings)
    bob = campaign.message({"email": "bob@example.org", "name": "Bob"})["Message-ID"]
    ada = campaign.message({"email": "ada@example.org", "name": "Ada"})["Message-ID"]

    ran = mailer("trace", str(bob), "--json")
    (found,) = json.loads(ran.out)
    assert (found["position"], found["mailbox"], found["outcome"]) == (
        1,
        "bob@example.org",
        "rejected",
    )
    assert found["reply"] == "550 5.1.1 no such user"
    assert "[history] keeps them" in ran.err
    assert "spring: accepted" in mailer("trace", str(ada)).out


@pytest.mark.parametrize(
    "what", ["<1@x>", "<>", "<é@x>", "<000000000000000000000000@shop.example>"]
)
def test_without_a_history_an_unknown_message_id_says_what_would_keep_it(mailer, client, what):
    sent(mailer, client)

    ran = mailer("trace", what)
    assert ran.code == 0
    assert f"nothing is known of {what}" in ran.out
    assert "[history] keeps them" in ran.out
    ran = mailer("trace", what, "--json")
    assert json.loads(ran.out) == []


def test_without_a_history_export_is_what_the_ledger_knows(mailer, client, place):
    sent(mailer, client)
    bounced(client, "ada@example.org")

    ran = mailer("export", "spring")

    assert ran.code == 0
    assert ran.err.count("\n") == 1
    assert "[history] keeps them" in ran.err
    ada, bob = csv.DictReader(io.StringIO(ran.out))
    assert [one["mailer_position"] for one in (ada, bob)] == ["0", "1"]
    assert (ada["email"], ada["mailer_outcome"], ada["mailer_later"]) == (
        "ada@example.org",  # the bounce named her
        "accepted",
        "bounced",
    )
    assert (bob["email"], bob["mailer_outcome"]) == ("bob@example.org", "rejected")
    assert bob["mailer_reply"] == "550 5.1.1 no such user"
    (only,) = mailer("export", "spring", "--outcome", "bounced", "--json").out.splitlines()
    assert json.loads(only)["position"] == 0
    missing = mailer("export", "autumn")
    assert (missing.code, missing.err.count("\n")) == (1, 1)
    assert "no campaign 'autumn'" in missing.err


def test_without_a_history_python_has_everybody_and_after_a_while_no_replies(mailer, client, place):
    sent(mailer, client)
    campaign = Campaign("spring", template="hello", settings=load(place / "mailer.toml", {}))
    assert [(one.position, one.outcome, one.reply) for one in campaign.outcomes()] == [
        (0, "accepted", ""),
        (1, "rejected", "550 5.1.1 no such user"),
    ]
    assert Forgetting(client).forget_replies("spring", NOW + 1) == 1
    assert [(one.outcome, one.mailbox, one.reply) for one in campaign.outcomes()] == [
        ("accepted", "", ""),
        ("rejected", "", ""),
    ]


@pytest.mark.parametrize(
    "what",
    [
        "ADA@Example.org",
        " ada@EXAMPLE.org ",
        "Ada <ada@example.org>",
        "0@x.example",
        "<0@x.example>",
    ],
)
def test_a_person_and_a_message_id_are_found_in_every_spelling(
    mailer, client, place, history, what
):
    sent(mailer, client)
    followed(client, place)
    assert "spring: accepted" in mailer("trace", what).out


@pytest.mark.parametrize("known", [True, False])
def test_a_domain_in_letters_of_its_own_is_found_in_every_spelling(
    mailer, client, place, request, known
):
    if known:
        request.getfixturevalue("history")
    settings = load(place / "mailer.toml", {})
    if known:
        EventStream(client).register("history")
    campaign = Campaign("books", template="hello", context={"season": "s"}, settings=settings)
    campaign.enqueue([{"email": "ada@bücher.example", "name": "Ada"}])
    if known:
        followed(client, place)
    for what in ("Ada@BÜCHER.example", "ada@bücher.example", "ada@xn--bcher-kva.example"):
        (found,) = json.loads(mailer("trace", what, "--json").out)
        assert (found["campaign"], found["outcome"]) == ("books", "queued")


def test_what_was_sent_before_there_was_a_history_is_what_the_ledger_knows(mailer, client, request):
    sent(mailer, client)
    request.getfixturevalue("history")

    rows = list(csv.DictReader(io.StringIO(mailer("export", "spring").out)))

    assert [row["mailer_outcome"] for row in rows] == ["accepted", "rejected"]


def test_without_a_history_whoever_waits_or_lies_dead_is_listed_too(mailer, client, place):
    settings = load(place / "mailer.toml", {})
    campaign = Campaign("many", template="hello", context={"season": "s"}, settings=settings)
    people = [{"email": f"p{n}@example.org", "name": "P"} for n in range(1_203)]
    campaign.enqueue(people)
    claimed = Ledger(client).claim("many:2", "w", NOW, NOW + 15)
    said = Said("AUTH", 535, "5.7.8", "no").encode()
    burial = Burial("d1", Status.DEAD, "account stopped", said, claimed.positions, None)
    Ledger(client).bury(claimed, burial, NOW)

    found = list(campaign.outcomes())

    assert [one.position for one in found] == list(range(1_203))
    dead = [one for one in found if one.outcome == "dead"]
    assert [one.position for one in dead] == list(claimed.positions)
    assert (dead[0].mailbox, dead[0].reply) == (f"p{dead[0].position}@example.org", "535 5.7.8 no")
    assert {one.outcome for one in found} == {"dead", "queued"}


def test_a_single_message_is_found_before_a_worker_had_it(mailer, client, place, history):
    settings = load(place / "mailer.toml", {})
    told = {"context": {"season": "spring", "name": "Ada"}, "sender": "a@b.example"}
    identifier = send("hello", to="ada@example.org", settings=settings, **told)
    Campaign("send.hello", template="hello", settings=settings).cancel()
    later = send("hello", to="bob@example.org", settings=settings, **told)
    followed(client, place)

    (found,) = json.loads(mailer("trace", "ada@example.org", "--json").out)
    assert (found["campaign"], found["outcome"]) == ("send.hello", "queued")
    assert found["message_id"] == identifier
    (found,) = json.loads(mailer("trace", later, "--json").out)
    # The ledger gave it to the successor of what was cancelled, after the entry was made.
    assert (found["campaign"], found["outcome"]) == ("send.hello.2", "queued")
