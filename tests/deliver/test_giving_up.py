"""Batches that cannot be sent from here at all become dead letters that say why."""

import time

import pytest

from mailer.config import Settings
from mailer.deliver.delivery import Delivery
from mailer.mail.message import Message, SharedPart
from mailer.mail.payload import Entry, encode
from mailer.store.campaigns import Campaigns
from mailer.store.dead_letters import DeadLetters, Filter
from mailer.store.ledger import Ledger
from tests.servers.waiting import eventually
from tests.store.batches import fresh, open_campaign, outcomes


@pytest.fixture
def deliver(client, redis_url):
    open_campaign(client)
    settings = Settings.model_validate(
        {
            "redis": redis_url,
            "accounts": {"primary": {"url": "smtp://127.0.0.1:9"}},
            "worker": {"unable_after": "1ms"},
        }
    )
    delivery = Delivery(settings, client)

    def enqueue_and_deliver(content, account="primary", payload=None):
        ref = Campaigns(client).next_batch("spring")
        message = Message("news@shop.example", "r1@example.org", content, "<1@shop.example>")
        Ledger(client).enqueue(
            ref,
            run=1,
            queue="bulk",
            account=account,
            payload=payload or encode([Entry(message, fresh(1).fingerprint)]),
            recipients=[fresh(1)],
            now=time.time(),
        )
        # What others might do waits first, and here there are none.
        return eventually(lambda: (report := delivery.deliver(ref)).failure and report)

    yield enqueue_and_deliver
    delivery.close()


@pytest.mark.parametrize(
    ("batch", "reason", "said"),
    [
        ({"content": (b"\r\n",), "account": "primry"}, "account", "did you mean 'primary'?"),
        ({"content": (SharedPart("ab" * 32, 9),)}, "undecodable", "attachment is gone"),
        ({"content": (), "payload": b"M\x63 ?"}, "undecodable", "update the workers"),
    ],
)
def test_what_nobody_can_send_is_dead_and_says_why(client, deliver, batch, reason, said):
    report = deliver(**batch)
    assert report.failure == reason
    (letter,) = DeadLetters(client).find(Filter(), time.time())
    assert letter.reason == reason
    assert said in letter.said.reply
    assert outcomes(client) == {"dead": 1}
    assert client.keys("mailer:batch:*") == []


def test_a_stopped_accounts_recipients_are_found_among_the_failures(client, deliver):
    deliver((b"\r\n",), account="primry")
    (failure,) = Campaigns(client).failures("spring")
    assert failure.detail.mailbox == "r1@example.org"
    assert "primry" in failure.detail.text
