"""`mailer failures`: in the order of the list, and ready for `mailer send`."""

import csv
import io
import json
from contextlib import closing

import pytest

from mailer.config import load
from mailer.deliver.batch import Batch
from mailer.history import open_history
from mailer.mail.event import Happened, encode_outcomes
from mailer.mail.payload import decode
from mailer.mail.recipients import fingerprint
from mailer.mail.said import Said
from mailer.mail.status import Detail, Status
from mailer.store.events import EventStream
from mailer.store.feedback.records import Brake, Feedback, Note, Returned
from mailer.store.ledger import Burial, Ledger, Settlement
from mailer.worker.followers import Follower
from mailer.worker.history_writer import HistoryWriter
from tests.worker.following import read_all

HELLO = ("--template", "hello", "--set", "season=spring")
NOW = 1_800_000_000.0
PEOPLE = [f"p{number:02}@example.org" for number in range(40)]


@pytest.fixture
def people(place):
    """A list with a column that is called as one of ours, and one that no template knows."""
    rows = "".join(f"{one},Name {at},{at},gold\n" for at, one in enumerate(PEOPLE))
    (place / "people.csv").write_text(f"email,name,stage,card\n{rows}")


@pytest.fixture
def history(place):
    url = f"sqlite:///{place}/history.sqlite"
    with (place / "mailer.toml").open("a") as file:
        file.write(f'[history]\nurl = "{url}"\n')
    with closing(open_history(url)) as opened:
        opened.upgrade()


def refused(mailer, client, place, *, followed):
    """All but the first and the last are refused or dead; of the first a bounce came back."""
    if followed:
        stream = EventStream(client)
        stream.take("history")
        stream.leave("history")
    assert mailer("send", "spring", *HELLO, "people.csv").code == 0
    ledger = Ledger(client)
    claim = ledger.claim("spring:1", "w1", NOW, NOW + 15)
    settled, happened = [Settlement(0, Status.ACCEPTED)], []
    for at in range(1, 30):
        no = Detail(PEOPLE[at], "RCPT", 550, "5.1.1", "no such user", attempts=1, at=NOW)
        settled.append(Settlement(at, Status.REJECTED, no))
    for one in settled:
        heard = one.detail or Detail("", "final", 250, attempts=1)
        mailbox, identifier = PEOPLE[one.position], f"<{one.position}@x>"
        happened.append(Happened(one.position, one.status, mailbox, identifier, heard))
    told = encode_outcomes("spring:1", claim.fence, "primary", NOW, happened)
    ledger.commit(claim, settled, (), NOW, NOW + 15, told if followed else None)
    positions, payload = Batch(claim, decode(claim.payload)).subset(range(30, 39))
    said = Said(text="535 no").encode()
    burial = Burial("d1", Status.DEAD, "auth", said, positions, payload)
    ledger.bury(claim, burial, NOW)
    back = Returned("bounce", PEOPLE[0], NOW, status="5.1.1", permanent=True)
    feedback = Feedback(client)
    key = fingerprint(PEOPLE[0])
    feedback.note(
        Note("spring", key, back, None, Brake(), lambda: feedback.told("spring", key, back))
    )
    if followed:
        writer = HistoryWriter(load(place / "mailer.toml", {}), client)
        read_all(Follower(client, writer))
        writer.close()


@pytest.mark.usefixtures("people")
def test_they_come_in_the_order_of_the_list(mailer, client, place):
    refused(mailer, client, place, followed=False)
    done = mailer("failures", "spring", "--json")
    assert done.err == ""
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["email"] for row in rows] == [*PEOPLE[1:39], PEOPLE[0]]
    assert mailer("failures", "spring", "--csv").out == mailer("failures", "spring", "--csv").out
    assert {row["message_id"] for row in rows} == {""}, "no history knows them"


@pytest.mark.usefixtures("people", "history")
def test_with_a_history_they_are_ready_to_be_sent_to(mailer, client, place):
    refused(mailer, client, place, followed=True)
    printed = mailer("failures", "spring", "--csv").out
    rows = list(csv.DictReader(io.StringIO(printed)))
    assert [*rows[0]][-5:] == ["next", "message_id", "name", "row_stage", "card"]
    assert rows[0] | {"name": "Name 1", "row_stage": "1", "card": "gold"} == rows[0]
    assert [row["message_id"] for row in rows[:29]] == [f"<{at}@x>" for at in range(1, 30)]
    bounced = rows[-1]
    assert (bounced["outcome"], bounced["message_id"], bounced["name"]) == (
        "bounced",
        "<0@x>",
        "Name 0",
    )

    (place / "again.csv").write_text(printed)
    done = mailer("send", "again", *HELLO, "again.csv")
    assert (done.code, done.out.splitlines()[0]) == (0, "again: 39 queued")
    lines = mailer("failures", "spring", "--json", "--outcome", "rejected").out
    (place / "rejected.jsonl").write_text(lines)
    assert "29 queued" in mailer("send", "rejected", *HELLO, "rejected.jsonl").out
