"""What a campaign's state reads like."""

import time
from dataclasses import replace

import pytest

from mailer.mail.status import Status
from mailer.operate.states import STATES, states_of, told
from mailer.store.breaker import AccountState
from mailer.store.course.pending import Pending
from mailer.store.course.progress import Progress

NOW = time.mktime((2026, 5, 1, 12, 0, 0, 0, 0, -1))
WORDS = {status.word: 0 for status in Status if status is not Status.TRANSMITTING}
SENDING = Pending(ready=1)


def campaign(state="running", *, enqueued=True, start=0.0, why="", window="", **outcomes):
    return Progress(
        campaign="spring",
        state=state,
        total=sum(outcomes.values()),
        outcomes={**WORDS, **outcomes},
        rate=0.0,
        time_left=None,
        enqueued=enqueued,
        created=NOW,
        started=None,
        active=None,
        summary={"account": "primary, other"},
        why=why,
        start=start,
        window=window,
    )


def says(one, waits=SENDING, lacking=(), **accounts):
    states = {name: AccountState(name, *state) for name, state in accounts.items()}
    return told(one, waits, states, lacking, NOW).says


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (campaign(queued=2), "sending"),
        (campaign(queued=2, enqueued=False), "enqueueing"),
        (replace(campaign(queued=2), unheld=2), "2 in no batch"),
        (campaign(accepted=2), "done"),
        (campaign(), "done"),
        (campaign(rejected=2), "done, none accepted"),
        (campaign(dead=2), "all dead"),
        (campaign(dead=1, uncertain=1), "all dead"),
        (campaign(dead=1, rejected=1), "done, none accepted, 1 dead"),
        (campaign(dead=1, accepted=1), "done, 1 dead"),
        (campaign("paused", queued=1), "paused"),
        (campaign("cancelled", cancelled=1), "cancelled"),
        (campaign("paused", why="9 of 90 bounced for good"), "paused: too many bounces"),
        (campaign("paused", why="9 of 90 complained"), "paused: too many complaints"),
        (campaign(queued=1, start=NOW + 60), "waiting until 12:01:00"),
        (campaign(queued=1, start=NOW + 86400), "waiting until 2026-05-02 12:00:00"),
    ],
)
def test_a_state_says_what_is_so(one, words):
    assert says(one) == words


def test_what_waits_says_for_what_and_until_when():
    queued, deferred = campaign(queued=2, deferred=1), campaign(deferred=1)
    waits = Pending(waiting=2, soonest=NOW + 30)
    assert says(queued, waits) == "waiting for quota until 12:00:30"
    assert says(deferred, waits) == "waiting to try again until 12:00:30"
    nobody = says(queued, waits, ["account:other", "secret:other"])
    assert nobody == "waiting for a worker that has account other"
    assert says(queued, waits, ["secret:primary"]) == "waiting for the secret of account primary"
    shut = campaign(queued=1, window="Mon-Sun 00:00-00:01 UTC")
    assert says(shut, waits).startswith("waiting for window until 2026-05-02")
    parked = Pending(parked=1)
    assert says(queued, parked, other=("stopped",)) == "paused: account stopped"
    cools = says(queued, parked, primary=("cooling", NOW, NOW + 5))
    assert cools == "waiting for account primary until 12:00:05"


def test_what_a_worker_has_is_sent_whatever_else_waits():
    assert says(campaign(queued=2), Pending(ready=1, waiting=3, soonest=NOW)) == "sending"


def test_time_left_is_at_least_what_it_waits():
    found = told(campaign(queued=1, start=NOW + 60), SENDING, {}, (), NOW)
    assert (found.time_left, found.until) == (60, NOW + 60)


@pytest.mark.parametrize(
    ("state", "waits"),
    [("paused", SENDING), ("cancelled", SENDING), ("running", Pending(parked=1))],
)
def test_who_is_at_rest_has_no_rate_and_no_time_left(state, waits):
    moving = replace(campaign(state, queued=2, accepted=1), rate=4.0, time_left=11.0)
    accounts = {"other": AccountState("other", "stopped")}
    found = told(moving, waits, accounts, (), NOW)
    assert (found.rate, found.time_left) == (0.0, None)
    sent = told(replace(moving, state="running"), SENDING, accounts, (), NOW)
    assert (sent.rate, sent.time_left) == (4.0, 11.0)


def test_each_state_can_be_asked_for():
    found = [
        told(one, SENDING, {}, (), NOW)
        for one in (
            campaign(queued=1, enqueued=False),
            campaign(queued=1, start=NOW + 9),
            campaign(queued=1),
            campaign("paused"),
            campaign("cancelled"),
            campaign(accepted=1),
            campaign(dead=1),
        )
    ]
    assert [states_of(one) for one in found] == [{word} for word in STATES]
    assert states_of(told(campaign(dead=1, accepted=1), SENDING, {}, (), NOW)) == {"done", "dead"}
