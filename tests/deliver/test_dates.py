"""A message's Date is when it leaves, once for all its tries; on a real server and Redis."""

import time
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.utils import format_datetime, parsedate_to_datetime

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from mailer import Campaign, send, send_message
from mailer.mail.dating import stamped
from mailer.mail.payload import decode, encode
from mailer.store.ledger import Ledger
from tests.servers.scripted import Act
from tests.servers.shop import shop, work
from tests.servers.waiting import eventually

LONG_AGO = datetime(2020, 2, 29, 12, tzinfo=UTC)
ROWS = [{"email": f"r{number}@example.org"} for number in range(3)]


@pytest.fixture
def settings(redis_url, tmp_path, server, monkeypatch):
    monkeypatch.setenv("PASSWORD", "right")
    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (tmp_path / "key.pem").write_bytes(pem)
    (tmp_path / "key.pem").chmod(0o600)
    signed = {"domain": "shop.example", "selector": "s", "key_file": tmp_path / "key.pem"}
    return shop(redis_url, tmp_path, server.port, "primary", account={"dkim": signed})


def campaign(settings, **options):
    return Campaign("spring", template="hello", settings=settings, **options)


def aged(client):
    """Make of what is queued what was queued in 1999: stored so, it waited for its day."""
    for key in client.scan_iter("mailer:payload:*"):
        entries = decode(client.get(key))
        for number, entry in enumerate(entries):
            first, *rest = entry.message.content
            content = (b"".join(stamped(first, 930_000_000)), *rest)
            entries[number] = replace(entry, message=replace(entry.message, content=content))
        client.set(key, encode(entries))


def dates(server):
    return [message_from_bytes(content)["Date"] for content in server.contents]


def moments(server):
    return [parsedate_to_datetime(date).timestamp() for date in dates(server)]


def test_a_campaign_that_was_paused_for_years_leaves_with_the_date_of_its_day(
    settings, delivery, client, server
):
    began = int(time.time())
    mailing = campaign(settings)
    mailing.enqueue(ROWS)
    mailing.pause()
    aged(client)
    work(delivery, client)
    assert server.contents == []
    mailing.resume()
    work(delivery, client)
    assert mailing.status().outcomes["accepted"] == 3
    assert all(began <= moment <= time.time() for moment in moments(server))


def test_a_campaign_with_a_start_is_dated_when_it_leaves(settings, delivery, client, server):
    start = datetime.now().astimezone() + timedelta(seconds=3)
    mailing = campaign(settings, start_at=start)
    assert parsedate_to_datetime(mailing.message(ROWS[0])["Date"]) == start.replace(microsecond=0)
    mailing.enqueue(ROWS)
    aged(client)
    eventually(lambda: delivery.deliver("spring:1") and len(server.contents) == 3)
    assert all(int(start.timestamp()) <= moment <= time.time() for moment in moments(server))


def test_a_date_of_the_caller_s_own_is_never_replaced(settings, delivery, client, server):
    mailing = campaign(settings, date=LONG_AGO)
    mailing.enqueue(ROWS)
    work(delivery, client)
    assert dates(server) == [format_datetime(LONG_AGO)] * 3


def given_message(address, date=None):
    message = EmailMessage()
    message["From"] = "Shop <news@shop.example>"
    message["To"] = address
    if date:
        message["Date"] = date
    message.set_content("Hello.\n")
    return message


def test_of_given_messages_those_without_a_date_get_the_day_s(settings, delivery, client, server):
    own = format_datetime(LONG_AGO)
    began = int(time.time())
    messages = [given_message("a@example.org"), given_message("b@example.org", own)]
    Campaign("given", settings=settings).enqueue_messages(messages)
    aged(client)
    work(delivery, client)
    assert dates(server)[1] == own
    assert began <= moments(server)[0] <= time.time()


def test_single_messages_are_dated_when_they_leave_unless_they_bring_a_date(
    settings, delivery, client, server
):
    own, began = format_datetime(LONG_AGO), int(time.time())
    send("hello", to="a@example.org", settings=settings)
    send_message(given_message("b@example.org"), settings=settings)
    send_message(given_message("c@example.org", own), settings=settings)
    aged(client)
    work(delivery, client, "priority")
    eventually(lambda: len(server.contents) == 3)  # one may go on beside another
    found = {message_from_bytes(c)["To"]: message_from_bytes(c)["Date"] for c in server.contents}
    assert found.pop("c@example.org") == own
    assert len(found) == 2
    assert all(parsedate_to_datetime(date).timestamp() >= began for date in found.values())


@pytest.mark.parametrize(
    "answer",
    ["451 4.7.1 greylisted, try again later", Act.HANG_UP],
    ids=["refused for now", "reply lost"],
)
def test_a_message_that_is_tried_again_has_the_date_of_its_first_try(
    settings, delivery, client, server, answer
):
    retry = {"first_delay": 1.2, "jitter": 0.0, "factor": 1.0}
    mailing = campaign(settings, on_uncertain="resend", retry=retry)
    mailing.enqueue(ROWS[:1])
    aged(client)
    server.answer("DOT", answer, times=2)
    began = int(time.time())
    eventually(lambda: delivery.deliver("spring:1") and mailing.status().outcomes["accepted"])
    assert len(server.contents) == 3
    assert len(set(dates(server))) == 1
    assert began <= moments(server)[0] <= time.time() - 2
    assert len({message_from_bytes(content)["Message-ID"] for content in server.contents}) == 1


def test_what_a_lost_worker_may_have_sent_is_sent_again_with_the_date_that_it_had(
    settings, delivery, client, server
):
    mailing = campaign(settings, on_uncertain="resend", retry={"first_delay": 1.0, "jitter": 0.0})
    mailing.enqueue(ROWS)
    ledger, then = Ledger(client), time.time() - 1000
    claim = ledger.claim("spring:1", "lost", then, then + 60)
    ledger.commit(claim, (), claim.positions[:2], then + 5, None, began=then + 1)
    began = int(time.time())
    eventually(lambda: delivery.deliver("spring:1") and mailing.status().outcomes["accepted"] == 3)
    found = {message_from_bytes(c)["To"]: message_from_bytes(c)["Date"] for c in server.contents}
    when = {to: parsedate_to_datetime(date).timestamp() for to, date in found.items()}
    assert when["r0@example.org"] == when["r1@example.org"] == int(then + 1)
    assert when["r2@example.org"] >= began


def test_a_quota_that_is_used_up_costs_no_message_its_day(settings, delivery, client, server):
    mailing = campaign(settings)
    mailing.enqueue(ROWS[:1])
    quota = "454 4.7.0 Throttling failure: Daily message quota exceeded."
    server.answer("DOT", quota, times=1)
    work(delivery, client)
    (detail,) = (
        Ledger(client)
        .claim("spring:1", "other", time.time() + 1e6, time.time() + 2e6)
        .details.values()
    )
    assert (detail.code, detail.first) == (454, 0.0)


def test_a_signature_is_made_over_the_date_that_leaves(
    settings, delivery, client, server, tmp_path
):
    mailing = campaign(settings)
    mailing.enqueue(ROWS)
    aged(client)
    work(delivery, client)
    key = serialization.load_pem_private_key((tmp_path / "key.pem").read_bytes(), None)
    public = key.public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw
    )
    record = b"v=DKIM1; k=ed25519; p=" + b64encode(public)
    for content in server.contents:
        assert b"date" in content.partition(b"h=")[2].partition(b";")[0]
        assert dkim.verify(content, dnsfunc=lambda *_a, **_k: record)
