"""A place that is given a second time loses nobody: who stood there is found as before."""

import json

import sqlalchemy
from sqlalchemy import Engine

from mailer.history.places import ASIDE
from mailer.mail.event import Event
from mailer.mail.recipients import fingerprint

MARCH = 1_772_400_000.0


def queued(place, mailbox, order, message_id="", campaign="spring"):
    row = json.dumps({"email": mailbox})
    return Event(
        campaign, place, "queued", MARCH + order, 1, account="primary", mailbox=mailbox,
        message_id=message_id or f"<{mailbox}>", row=row, order=order,
    )  # fmt: skip


def tried(before, outcome, order):
    return before._replace(outcome=outcome, row="", at=MARCH + order, fence=1, order=order)


def told(history, mailbox):
    return [
        (one.campaign, one.outcome, [step.outcome for step in one.steps])
        for one in history.trace(mailbox)
    ]


def test_who_stood_there_keeps_what_happened_to_her(history):
    ada, bob = queued(0, "ada@example.org", 1), queued(0, "bob@example.org", 4)
    history.write([ada, tried(ada, "deferred", 2), tried(ada, "accepted", 3)])

    history.write([bob, tried(bob, "rejected", 5)])
    history.write([bob, tried(bob, "rejected", 5)])  # read again

    assert told(history, "ada@example.org") == [("spring", "accepted", ["deferred", "accepted"])]
    assert told(history, "bob@example.org") == [("spring", "rejected", ["rejected"])]
    has = {key.to_bytes(8, "big", signed=True) for key in history.persons("spring", ["accepted"])}
    assert has == {fingerprint("ada@example.org")}
    assert [one.position for one in history.export("spring")] == [0, ASIDE]


def test_nor_under_an_order_that_is_behind(history):
    """Where the clock of a restored Redis is behind, what comes may seem to be older."""
    ada, bob = queued(0, "ada@example.org", 90), queued(0, "bob@example.org", 4)
    history.write([ada, tried(ada, "accepted", 91)])
    history.write([bob, tried(bob, "accepted", 5)])

    assert told(history, "ada@example.org") == [("spring", "accepted", ["accepted"])]
    assert told(history, "bob@example.org") == [("spring", "accepted", ["accepted"])]


def test_of_single_messages_one_person_has_both(history):
    first = queued(3, "ada@example.org", 1, "<welcome@shop>", "send.mail")
    second = queued(3, "ada@example.org", 4, "<reset@shop>", "send.mail")
    history.write([first, tried(first, "accepted", 2)])
    history.write([second, tried(second, "rejected", 5), tried(second, "bounced", 6)])

    assert [one.message_id for one in history.trace("ada@example.org")] == [
        "<reset@shop>",
        "<welcome@shop>",
    ]
    (welcome,) = history.trace("<welcome@shop>")
    assert (welcome.outcome, [step.outcome for step in welcome.steps]) == ("accepted", ["accepted"])


def test_many_at_once_and_again_and_again(history):
    for round_ in range(3):
        people = [queued(n, f"r{round_}.{n}@example.org", round_ * 10 + 1) for n in range(40)]
        history.write(people)
        history.write([tried(one, "accepted", one.order + 1) for one in people])

    assert history.counts("spring") == {"accepted": 120}
    for round_ in range(3):
        assert told(history, f"r{round_}.7@example.org") == [("spring", "accepted", ["accepted"])]
    places = [one.position for one in history.export("spring")]
    assert places[:40] == list(range(40))
    assert len(set(places)) == 120


def test_what_comes_back_moves_nobody(history):
    ada = queued(0, "ada@example.org", 1)
    history.write([ada, tried(ada, "accepted", 2)])
    key = fingerprint("ada@example.org")
    back = tried(ada, "bounced", 3)._replace(message_id="<of another@shop>", key=key)
    history.write([back, back._replace(outcome="delayed", order=4)])

    (found,) = history.trace("ada@example.org")
    assert (found.position, found.later) == (0, "bounced")


def test_a_retry_and_another_sender_move_nobody(history):
    ada = queued(0, "Ada@example.org", 1)
    history.write([ada])
    for order, word in enumerate(("deferred", "dead", "queued", "accepted"), 2):
        again = tried(ada, word, order)._replace(message_id="", mailbox="ada@example.org")
        history.write([again])
    history.write([Event("spring", 0, "cancelled", MARCH, order=9)])

    assert [one.position for one in history.export("spring")] == [0]


def test_who_stands_there_is_asked_only_where_not_all_could_be_laid(history):
    asked = []

    def look(_connection, _cursor, statement, *_rest):
        asked.append("SELECT messages.position" in statement)

    people = [queued(n, f"r{n}@example.org", 1) for n in range(40)]
    history.write(people[:1])  # the campaign is known, and its month
    sqlalchemy.event.listen(Engine, "before_cursor_execute", look)
    try:
        history.write(people[1:])
        history.write([tried(one, "accepted", 2) for one in people])
        assert asked
        assert not any(asked)
        history.write([queued(7, "else@example.org", 3)])
        assert any(asked)
    finally:
        sqlalchemy.event.remove(Engine, "before_cursor_execute", look)
