"""The stream of what happened: written with each note, read in order, by one process at a time."""

from mailer.mail.event import Happened, encode_outcomes, encode_queued
from mailer.mail.status import Detail, Status
from mailer.store.campaigns import CANCELLED, Campaigns
from mailer.store.dead_letters import DeadLetters
from mailer.store.events import EventStream
from mailer.store.ledger import Burial, Ledger, Settlement
from tests.store.batches import NOW, claim, enqueue, open_campaign


def settle(client, claimed, numbers, status=Status.ACCEPTED, at=NOW):
    detail = Detail("", "final", 250, "", "ok", attempts=1)
    outcomes = [
        Happened(number, status, f"r{number}@example.org", f"<{number}@x>", detail)
        for number in numbers
    ]
    told = encode_outcomes(claimed.ref, claimed.fence, claimed.account, at, outcomes)
    settled = [Settlement(number, status) for number in numbers]
    return Ledger(client).commit(claimed, settled, (), at, at + 15, told)


def read(client, consumer="history", messages=1000):
    return EventStream(client).read(consumer, messages)


def following(client, consumer="history"):
    stream = EventStream(client)
    assert stream.take(consumer)
    return stream


def test_what_is_noted_is_told_by_the_same_call(client):
    open_campaign(client)
    ref, _ = enqueue(client, range(3))
    claimed = claim(client, ref)

    settle(client, claimed, [0, 1])

    events = read(client).events
    assert [(one.position, one.outcome, one.reply) for one in events] == [
        (0, "accepted", "250 ok"),
        (1, "accepted", "250 ok"),
    ]


def test_a_note_that_came_too_late_tells_nothing(client):
    open_campaign(client)
    ref, _ = enqueue(client, range(3))
    late = claim(client, ref)
    claim(client, ref, owner="w2", now=NOW + 60)

    settle(client, late, [0])

    assert read(client) is None


def test_a_call_that_is_repeated_tells_of_the_same_events(client):
    open_campaign(client)
    ref, _ = enqueue(client, range(3))
    claimed = claim(client, ref)
    settle(client, claimed, [0])
    settle(client, claimed, [0])

    one, other = read(client).events

    assert one.identifier == other.identifier


def test_a_consumer_reads_on_from_where_it_was_and_again_what_it_did_not_acknowledge(client):
    open_campaign(client)
    ref, _ = enqueue(client, range(4))
    claimed = claim(client, ref)
    stream = following(client)
    settle(client, claimed, [0, 1])
    first = stream.read("history", 10)

    assert stream.read("history", 10) == first
    stream.acknowledge("history", first)
    assert stream.read("history", 10) is None
    settle(client, claimed, [2])
    assert [one.position for one in stream.read("history", 10).events] == [2]


def test_what_all_have_read_is_taken_away_and_not_before(client):
    open_campaign(client)
    ref, _ = enqueue(client, range(4))
    claimed = claim(client, ref)
    history, shop = following(client), following(client, "events")
    settle(client, claimed, [0, 1])

    history.acknowledge("history", history.read("history", 10))
    assert client.xlen("mailer:events") == 1
    assert (history.unread()["history"], [b.messages for b in history.backlogs(NOW)]) == (0, [2, 0])

    shop.acknowledge("events", shop.read("events", 10))
    assert client.xlen("mailer:events") == 0
    assert history.unread() == {"events": 0, "history": 0}


def test_to_acknowledge_twice_or_late_moves_no_cursor_back(client):
    open_campaign(client)
    ref, _ = enqueue(client, range(4))
    claimed = claim(client, ref)
    stream = following(client)
    settle(client, claimed, [0])
    first = stream.read("history", 1)
    settle(client, claimed, [1])
    both = stream.read("history", 10)

    stream.acknowledge("history", both)
    stream.acknowledge("history", first)
    stream.acknowledge("history", both)

    assert stream.read("history", 10) is None
    assert stream.unread() == {"history": 0}


def test_one_process_reads_at_a_time_and_another_when_it_leaves(client):
    mine, other = EventStream(client), EventStream(client)

    assert mine.take("history")
    assert mine.take("history")
    assert not other.take("history")
    assert other.take("events")

    mine.leave("history")
    while not other.take("history"):
        pass


def test_who_is_cancelled_or_replayed_is_told_by_the_scripts_where_somebody_follows(client):
    following(client)
    open_campaign(client)
    enqueue(client, range(3))
    Campaigns(client).set_state("spring", CANCELLED)
    assert sum(Campaigns(client).cancel_batches("spring")) == 3

    events = read(client).events

    assert [(one.position, one.outcome) for one in events] == [(n, "cancelled") for n in range(3)]


def test_a_worker_that_tells_nothing_is_told_of_by_the_scripts(client):
    following(client)
    open_campaign(client)
    ref, _ = enqueue(client, range(3))
    claimed = claim(client, ref)
    Ledger(client).commit(claimed, [Settlement(0, Status.ACCEPTED)], [1, 2], NOW, NOW + 15)
    Ledger(client).bury(claimed, Burial("d1", Status.DEAD, "auth", b"", [1, 2]), NOW)
    DeadLetters(client).replay("d1", NOW)

    events = read(client).events

    assert [(one.position, one.outcome) for one in events] == [
        (0, "accepted"),
        (1, "dead"),
        (2, "dead"),
        (1, "queued"),
        (2, "queued"),
    ]


def test_without_a_follower_nothing_is_written(client):
    open_campaign(client)
    ref, _ = enqueue(client, range(3))
    claimed = claim(client, ref)
    Ledger(client).commit(claimed, [Settlement(0, Status.ACCEPTED)], [1], NOW, NOW + 15)

    assert client.exists("mailer:events") == 0


def test_a_queued_batch_is_told_with_its_rows(client):
    open_campaign(client)
    enqueue(client, range(2))
    rows = [("a@b.example", "<1@x>", "{}"), ("c@d.example", "<2@x>", "{}")]
    enqueue(client, range(5, 7), told=encode_queued("spring:2", "primary", NOW, rows))

    assert [one.position for one in read(client).events] == [2, 3]


def test_an_entry_that_is_damaged_is_passed_over_and_named(client):
    stream = following(client)
    client.xadd("mailer:events", {"n": "1", "e": b"E\x01o??"})
    open_campaign(client)
    ref, _ = enqueue(client, range(3))
    settle(client, claim(client, ref), [0])

    found = stream.read("history", 10)

    assert [one.position for one in found.events] == [0]
    assert "damaged" in found.unreadable[0]


def test_what_a_newer_version_wrote_is_not_passed_over(client):
    stream = following(client)
    open_campaign(client)
    ref, _ = enqueue(client, range(3))
    claimed = claim(client, ref)
    settle(client, claimed, [0])
    client.xadd("mailer:events", {"n": "1", "e": b"E\x09o??"})
    settle(client, claimed, [1])

    first = stream.read("history", 10)
    stream.acknowledge("history", first)
    behind = stream.read("history", 10)

    assert [one.position for one in first.events] == [0]
    assert "version 9" in first.newer
    assert (behind.events, behind.last) == ((), "")
