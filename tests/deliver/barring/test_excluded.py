"""Who is left out while a batch is sent: a real server, a real Redis, no worker process."""

import time

import pytest

from mailer import Campaign, send
from mailer.compose.unsubscribe import Unsubscribed
from mailer.config import Settings
from mailer.deliver.delivery import Delivery
from mailer.errors import InputError
from mailer.feedback.unsubscribing import Unsubscribing
from mailer.mail.barring.scopes import ALL
from mailer.mail.recipients import fingerprint
from mailer.store.suppression import Suppressed, Suppression
from tests.servers.submission_server import SubmissionServer

ROWS = [{"email": f"r{number}@example.org"} for number in range(60)]
NEWS = "Shop news <news.shop.example>"


@pytest.fixture
def server():
    with SubmissionServer(good="right") as running:
        yield running


@pytest.fixture
def settings(redis_url, tmp_path, server, monkeypatch):
    monkeypatch.setenv("PASSWORD", "right")
    folder = tmp_path / "templates" / "hello"
    folder.mkdir(parents=True)
    (folder / "subject.txt").write_text("Hello\n")
    (folder / "body.txt").write_text("Hello.\n")
    account = {
        "url": f"smtp://good@127.0.0.1:{server.port}",
        "password_env": "PASSWORD",
        "max_connections": 1,
    }
    return Settings.model_validate(
        {
            "redis": redis_url,
            "templates": folder.parent,
            "sender": "Shop <news@shop.example>",
            "accounts": {"primary": account},
        }
    )


@pytest.fixture
def delivery(settings, client):
    made = Delivery(settings, client)
    yield made
    made.close()


def work(delivery, client):
    for queue in ("bulk", "priority"):
        while queued := client.zrange(f"mailer:queued:{queue}", 0, 0):
            delivery.deliver(queued[0].decode())


def leave(settings, mailbox, campaign="spring", **how):
    Unsubscribing(settings).take_off(Unsubscribed(mailbox, campaign), "page", **how)


def test_who_unsubscribes_in_mid_batch_gets_nothing_any_more(settings, delivery, client, server):
    """The last of one batch presses the link while the first ones are sent."""
    mailing = Campaign("spring", template="hello", list_id=NEWS, settings=settings)
    mailing.enqueue(ROWS)
    server.delay = 0.02
    pressed = []

    def press(_user, number):
        if number == 3:
            leave(settings, "r59@example.org")
            pressed.append(time.monotonic())

    server.on_accepted = press
    work(delivery, client)

    assert pressed
    assert mailing.status().outcomes["accepted"] == 59
    assert mailing.status().outcomes["suppressed"] == 1
    assert "r59@example.org" not in server.accepted["good"]
    assert len(set(server.accepted["good"])) == len(server.accepted["good"]) == 59


def test_the_last_one_of_a_batch_may_be_the_one_who_leaves(settings, delivery, client, server):
    """Nobody is left to send to then, and the run ends."""
    mailing = Campaign("spring", template="hello", settings=settings)
    mailing.enqueue(ROWS[:2])
    server.delay = 0.6  # so that more than a stride lies between two messages
    server.on_accepted = lambda _user, _number: leave(settings, "r1@example.org")
    work(delivery, client)
    assert server.accepted["good"] == ["r0@example.org"]
    assert mailing.status().outcomes["suppressed"] == 1


def test_leaving_one_list_leaves_the_others_and_the_receipts(settings, delivery, client, server):
    def campaign(name, list_id=NEWS):
        made = Campaign(name, template="hello", list_id=list_id, settings=settings)
        return made.enqueue([{"email": "ada@example.org"}])

    campaign("spring")
    leave(settings, "ada@example.org")
    work(delivery, client)  # queued before, and not sent any more
    assert server.accepted["good"] == []

    assert campaign("summer").suppressed == 1
    assert campaign("tips", "<tips.shop.example>").queued == 1
    assert campaign("general", None).queued == 1
    work(delivery, client)  # first: a single message that waits has batches go on beside it
    assert len(server.accepted["good"]) == 2
    send("hello", to="ada@example.org", settings=settings)
    work(delivery, client)
    assert len(server.accepted["good"]) == 3

    leave(settings, "ada@example.org", of_all=True)
    assert campaign("tips-2", "<tips.shop.example>").suppressed == 1
    assert campaign("general-2", None).suppressed == 1
    send("hello", to="ada@example.org", settings=settings)
    work(delivery, client)
    assert len(server.accepted["good"]) == 4


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
    work(delivery, client)
    assert server.accepted["good"] == ["r1@example.org"]
