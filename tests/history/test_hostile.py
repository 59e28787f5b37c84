"""Values that nobody means well with: stored and found again, or passed over; they hold up nothing."""

import random
import string
from contextlib import suppress

import pytest

from mailer.errors import HistoryRefusesError
from mailer.history import months
from mailer.mail.event import Event

AT = 1_772_400_000.0
LONG = "".join(random.Random(7).choices(string.ascii_letters, k=64 * 1024))


def event(position=0, **more):
    given = {"mailbox": f"p{position}@example.org", "order": position + 1, "fence": 1}
    return Event("spring", position, "accepted", AT, **given)._replace(**more)


@pytest.mark.parametrize(
    "more",
    [
        {"reply": LONG},
        {"reply": "550 \0\x01\x1b[2J\r\n \U0001f4a9"},
        {"row": '{"email": "x\\u0000y", "n": "\\ud800"}'},
        {"campaign": 'it\'s; DROP TABLE events;-- "%s" :at %(at)s \\'},
        {"mailbox": f"{LONG[:900]}@example.org"},
        {"mailbox": f"{LONG[:64]}@{'.'.join([LONG[:60]] * 15)}"},
        {"message_id": f"<{LONG[:990]}@shop.example>"},
        {"message_id": f"<{LONG[:5000]}@shop.example>"},
        {"account": "o'brien", "stage": '"', "reason": "\\"},
        {"at": 0.0},
        {"at": -1.0},
        {"at": AT + 0.1 + 1e-9},
        {"at": 4_102_444_799.999},
    ],
)
def test_it_is_stored_and_found(history, more):
    one = event(**more)
    history.write([event(7), one])
    history.write([one])

    (found,) = history.trace(one.mailbox)

    assert (found.campaign, found.mailbox, len(found.steps)) == (one.campaign, one.mailbox, 1)
    assert found.reply == one.reply.replace("\0", "")
    assert [each.mailbox for each in history.trace(one.message_id)] in ([], [one.mailbox])
    assert history.counts("spring")["accepted"] in (1, 2)


@pytest.mark.parametrize(
    "at", [float("nan"), float("inf"), -float("inf"), 1e13, 1e18, 1e300, -1e13]
)
def test_a_time_that_is_none_is_refused_or_stored_and_holds_up_nothing(history, at):
    with suppress(HistoryRefusesError):
        history.write([event(at=at)])
    history.write([event(1)])
    assert history.trace("p1@example.org")


def test_a_month_ends_in_utc_whatever_the_machine_s_zone(history, monkeypatch):
    edge = months.bounds("2026_03")[1]
    events = [event(n, at=at) for n, at in enumerate((edge - 1e-3, edge, edge + 1e-3))]
    history.write(events)
    assert [months.month_of(one.at) for one in events] == ["2026_03", "2026_04", "2026_04"]
    history.drop_before(edge)
    assert [one.position for one in history.export("spring")] == [1, 2]
