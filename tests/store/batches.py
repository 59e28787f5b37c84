"""Batches for the ledger's tests: small, made by hand."""

from mailer.mail.message import Message
from mailer.mail.payload import Entry, encode
from mailer.mail.policy import CampaignPolicy
from mailer.mail.status import Detail
from mailer.store.campaigns import Campaigns
from mailer.store.ledger import BULK, Claim, Fresh, Ledger

NOW = 1_000_000.0
LEASE = 15.0


def fresh(number: int, digest: int = 7) -> Fresh:
    return Fresh(number.to_bytes(8, "big"), digest)


def entry(number: int) -> Entry:
    content = b"Subject: hello\r\n\r\nhello\r\n"
    message = Message(
        "news@shop.example", f"r{number}@example.org", (content,), f"<{number}@shop.example>"
    )
    return Entry(message, fresh(number).fingerprint)


def open_campaign(client, name="spring"):
    return Campaigns(client).open(
        name, digest="d", summary={}, policy=CampaignPolicy(), accept_changes=False, now=NOW
    )


def enqueue(
    client, numbers, name="spring", *, run=1, account="primary", queue=BULK, due=0.0, told=b""
):
    """Queue one batch of recipients; returns its ref."""
    ref = Campaigns(client).next_batch(name)
    done = Ledger(client).enqueue(
        ref,
        run=run,
        queue=queue,
        account=account,
        payload=encode([entry(number) for number in numbers]),
        recipients=[fresh(number) for number in numbers],
        now=NOW,
        due=due,
        told=told,
    )
    return ref, done


def claim(client, ref, owner="w1", now=NOW, lease=LEASE) -> Claim:
    found = Ledger(client).claim(ref, owner, now, now + lease)
    assert isinstance(found, Claim), found
    return found


def detail(number: int = 0, **fields) -> Detail:
    return Detail(f"r{number}@example.org", **fields)


def outcomes(client, name="spring"):
    found = Campaigns(client).progress(name, NOW).outcomes
    return {word: number for word, number in found.items() if number}
