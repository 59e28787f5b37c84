"""Who is left out while a batch is sent: a real server, a real Redis, no worker process."""

import time

import pytest

from mailer import Campaign, send
from mailer.compose.unsubscribe import Unsubscribed
from mailer.deliver.barring import excluded
from mailer.errors import InputError
from mailer.feedback.unsubscribing import Unsubscribing
from mailer.mail.barring.scopes import ALL
from mailer.mail.recipients import fingerprint
from mailer.store.suppression import Suppressed, Suppression
from tests.servers.scripted import ANY
from tests.servers.shop import work

ROWS = [{"email": f"r{number}@example.org"} for number in range(60)]
BOTH = ("bulk", "priority")
NEWS = "Shop news <news.shop.example>"


def leave(settings, mailbox, campaign="spring", **how):
    Unsubscribing(settings).take_off(Unsubscribed(mailbox, campaign), "page", **how)


@pytest.fixture
def stride(monkeypatch):
    """Who leaves is looked for more often, so that less has to be sent in between."""
    monkeypatch.setattr(excluded, "STRIDE", 0.1)


def test_who_unsubscribes_in_mid_batch_gets_nothing_any_more(
    settings, delivery, client, server, stride
):
    """The last of one batch presses the link while the first ones are sent."""
    mailing = Campaign("spring", template="hello", list_id=NEWS, settings=settings)
    mailing.enqueue(ROWS)
    server.delays[ANY] = 0.005

    def press(taken):
        if taken.number == 3:
            leave(settings, "r59@example.org")

    server.on_taken = press
    work(delivery, client, *BOTH)

    assert mailing.status().outcomes["accepted"] == 59
    assert mailing.status().outcomes["suppressed"] == 1
    assert "r59@example.org" not in server.mailboxes()
    assert len(set(server.mailboxes())) == len(server.mailboxes()) == 59


def test_the_last_one_of_a_batch_may_be_the_one_who_leaves(
    settings, delivery, client, server, stride
):
    """Nobody is left to send to then, and the run ends."""
    mailing = Campaign("spring", template="hello", settings=settings)
    mailing.enqueue(ROWS[:2])
    server.delays[ANY] = 0.15  # so that more than a stride lies between two messages
    server.on_taken = lambda _taken: leave(settings, "r1@example.org")
    work(delivery, client, *BOTH)
    assert server.mailboxes() == ["r0@example.org"]
    assert mailing.status().outcomes["suppressed"] == 1


def test_leaving_one_list_leaves_the_others_and_the_receipts(settings, delivery, client, server):
    def campaign(name, list_id=NEWS):
        made = Campaign(name, template="hello", list_id=list_id, settings=settings)
        return made.enqueue([{"email": "ada@example.org"}])

    campaign("spring")
    leave(settings, "ada@example.org")
    work(delivery, client, *BOTH)  # queued before, and not sent any more
    assert server.mailboxes() == []

    assert campaign("summer").suppressed == 1
    assert campaign("tips", "<tips.shop.example>").queued == 1
    assert campaign("general", None).queued == 1
    # First of all: a single message that waits has batches go on beside it.
    work(delivery, client, *BOTH)
    assert len(server.mailboxes()) == 2
    send("hello", to="ada@example.org", settings=settings)
    work(delivery, client, *BOTH)
    assert len(server.mailboxes()) == 3

    leave(settings, "ada@example.org", of_all=True)
    assert campaign("tips-2", "<tips.shop.example>").suppressed == 1
    assert campaign("general-2", None).suppressed == 1
    send("hello", to="ada@example.org", settings=settings)
    work(delivery, client, *BOTH)
    assert len(server.mailboxes()) == 4


@pytest.mark.parametrize("reason", ["mailbox_unknown", "complaint", "by hand"])
def test_a_receipt_is_not_sent_to_a_mailbox_that_is_no_good(settings, client, reason):
    entry = Suppressed("ada@example.org", reason, time.time(), scope=ALL)
    Suppression(client).add([(fingerprint("ada@example.org"), entry)])
    with pytest.raises(InputError, match="suppression list"):
        send("hello", to="ada@example.org", settings=settings)


def test_who_left_a_campaign_without_a_list_gets_no_campaign_any_more(settings, delivery, client):
    Campaign("spring", template="hello", settings=settings).enqueue(ROWS[:1])
    leave(settings, "r0@example.org")
    for list_id in (None, NEWS):
        mailing = Campaign(f"c{list_id}"[:3], template="hello", list_id=list_id, settings=settings)
        assert mailing.enqueue(ROWS[:1]).suppressed == 1
    assert send("hello", to="r0@example.org", settings=settings)


def test_a_campaign_that_the_last_version_queued_honours_who_left(
    settings, delivery, client, server
):
    """Its policy does not say what kind of mail it sends: bulk mail, by its queue."""
    mailing = Campaign("spring", template="hello", settings=settings)
    mailing.enqueue(ROWS[:2])
    client.hset("mailer:campaign:spring", "policy", "{}")
    leave(settings, "r0@example.org")
    work(delivery, client, *BOTH)
    assert server.mailboxes() == ["r1@example.org"]
