"""A batch in a worker's hands: several accounts, send windows; a real server, no worker process."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from mailer import Campaign
from mailer.deliver.delivery import Delivery
from mailer.store import keys
from mailer.store.slots import Slots
from tests.servers.scripted import ANY
from tests.servers.shop import shop, work

ROWS = [{"email": f"r{number}@example.org"} for number in range(40)]


@pytest.fixture
def settings(redis_url, tmp_path, server, monkeypatch):
    monkeypatch.setenv("PASSWORD", "right")
    return shop(redis_url, tmp_path, server.port, "good", "bad")


def campaign(settings, **options):
    return Campaign(
        "spring",
        template="hello",
        batch_size=10,
        settings=settings,
        **options,
    )


def test_what_a_refused_account_was_to_send_goes_through_the_others(
    settings, delivery, client, server
):
    mailing = campaign(settings, account={"good": 1.0, "bad": 1.0})
    mailing.enqueue(ROWS)
    work(delivery, client)
    assert mailing.status().outcomes["accepted"] == 40
    assert server.refused["bad"] == 1
    assert len(server.mailboxes("good")) == len(set(server.mailboxes("good"))) == 40


def test_with_one_account_the_same_goes_to_the_dead_letters(settings, delivery, client, server):
    mailing = campaign(settings, account="bad")
    mailing.enqueue(ROWS)
    work(delivery, client)
    assert mailing.status().outcomes["dead"] == 40
    assert server.refused["bad"] == 1


def test_a_domain_is_pinned_to_its_account(settings, delivery, client, server):
    mailing = campaign(settings, account={"good": 1.0, "bad": 1.0}, pins={"example.org": "good"})
    mailing.enqueue(ROWS)
    work(delivery, client)
    assert len(server.mailboxes("good")) == 40
    assert server.refused["bad"] == 0


def test_outside_its_window_a_campaign_waits_for_the_next_opening(settings, delivery, client):
    opens = datetime.now(UTC) + timedelta(hours=2)
    closes = opens + timedelta(hours=1)
    mailing = campaign(settings, account="good", window=f"{opens:%H:%M}-{closes:%H:%M} UTC")
    mailing.enqueue(ROWS)
    work(delivery, client)
    assert mailing.status().outcomes["queued"] == 40
    due = client.zrange(keys.TIMERS, 0, 0, withscores=True)[0][1]
    assert 3500 < due - time.time() <= 7200


def test_a_batch_whose_place_is_wanted_waits_for_the_replies_to_what_it_has_sent(
    settings, client, server
):
    """Longer than the end of the process would: nothing becomes uncertain by it."""
    settings = settings.model_copy(
        update={"worker": settings.worker.model_copy(update={"grace": 0.1})}
    )
    delivery = Delivery(settings, client)
    server.delays[ANY] = 0.6
    mailing = campaign(settings, account="good")
    mailing.enqueue(ROWS[:10])

    def wanted(taken):
        if taken.number == 1:  # its reply is on its way, for as long as the server takes
            for run in list(delivery.runs._fronts.values()):
                run.wants_room.set()

    server.on_taken = wanted
    report = delivery.deliver("spring:1")
    delivery.close()

    outcomes = {word: n for word, n in mailing.status().outcomes.items() if n}
    assert set(outcomes) == {"accepted", "queued"}
    assert outcomes["accepted"] == len(server.mailboxes("good")) < 10
    assert report.queued == ["spring:1"]


@pytest.mark.parametrize(("deaths", "leaves_room"), [(0, False), (1, True), (2, False)])
def test_a_batch_that_lost_a_worker_leaves_the_other_connections_to_the_next_one(
    settings, client, server, delivery, deaths, leaves_room
):
    """It uses one. After a second death it may be to blame, and nothing is put at risk beside it."""
    campaign(settings, account="good").enqueue(ROWS[:10])
    client.hset(keys.batch("spring:1"), "deaths", deaths)
    seen = []

    def look(taken):
        if taken.number == 1:
            seen.extend(run.leaves_room() for run in delivery.runs._fronts.values())

    server.on_taken = look
    delivery.deliver("spring:1")
    assert len(server.mailboxes("good")) == 10
    assert seen == [leaves_room]


def test_a_driver_that_has_had_no_batch_for_a_second_closes_what_another_worker_wants(
    settings, client, server, delivery, monkeypatch
):
    monkeypatch.setattr("mailer.deliver.gate.RESTS_AFTER", 0.0)
    campaign(settings, account="good").enqueue(ROWS)
    work(delivery, client)
    slots, most = Slots(client), settings.accounts["good"].max_connections
    held = slots.held("good")
    assert held > 0
    assert slots.acquire("good", most, most, "another", None, 15.0) == most - held
    delivery.reap()
    assert slots.acquire("good", held, most, "another", None, 15.0) == held
