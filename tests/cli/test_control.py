"""`mailer pause`, `resume`, `cancel` and `schedule`, for a campaign in each state that it can be in."""

import json
from time import time

import pytest

from mailer.mail.said import Said
from mailer.mail.status import Status
from mailer.store.campaigns import CANCELLED, PAUSED, Campaigns
from mailer.store.course.schedule import Schedule
from mailer.store.ledger import Burial, Ledger, Settlement
from tests.store.batches import NOW, claim, enqueue, open_campaign, outcomes

# Each makes campaign ``spring`` with two recipients.


def queued(client):
    open_campaign(client)
    enqueue(client, [1, 2])
    Campaigns(client).close("spring")


def paused(client):
    queued(client)
    Campaigns(client).set_state("spring", PAUSED)


def held_by_a_worker(client):
    open_campaign(client)
    ref, _ = enqueue(client, [1, 2])
    Campaigns(client).close("spring")
    now = time()
    claim(client, ref, now=now, lease=600.0)


def over(client):
    open_campaign(client)
    ref, _ = enqueue(client, [1, 2])
    Campaigns(client).close("spring")
    claimed = claim(client, ref)
    done = [Settlement(0, Status.ACCEPTED), Settlement(1, Status.REJECTED)]
    Ledger(client).commit(claimed, done, (), NOW, NOW + 15)
    Ledger(client).give_back(claimed, NOW)


def with_a_dead_letter(client):
    open_campaign(client)
    ref, _ = enqueue(client, [1, 2])
    Campaigns(client).close("spring")
    claimed = claim(client, ref)
    said = Said("AUTH", 535, "5.7.8", "bad password").encode()
    burial = Burial("d1", Status.DEAD, "auth", said, (0, 1))
    assert Ledger(client).bury(claimed, burial, NOW) == 2


def cancelled(client):
    queued(client)
    Campaigns(client).set_state("spring", CANCELLED)
    assert sum(Campaigns(client).cancel_batches("spring")) == 2


def waiting_for_its_start(client):
    queued(client)
    Schedule(client).move("spring", time(), time() + 3600)


def absent(_client):
    pass


STATES = {
    made.__name__: made
    for made in (
        queued,
        paused,
        held_by_a_worker,
        over,
        with_a_dead_letter,
        cancelled,
        waiting_for_its_start,
        absent,
    )
}
NOT_THERE = (1, "", "no campaign 'spring'; `mailer status` lists them")
STAYS = (1, "", "campaign 'spring' was cancelled, and stays so")
PAUSES = (0, "spring: paused; go on with: mailer resume spring", "")
RUNS = (0, "spring: running", "")
NOTHING_TO_PAUSE = (0, "campaign 'spring' is over: nothing to pause", "")
NOTHING_TO_RESUME = (0, "campaign 'spring' is over: nothing to resume", "")
HELD = "workers hold 2 more: they finish what is begun and cancel the rest"
NOTHING_TO_CANCEL = (0, "campaign 'spring' is over: nothing to cancel", "")
NOBODY = (1, "", "campaign 'spring' is over: nobody of it waits to be sent to")
BEGINS = (0, "spring: begins now", "")

# By command and state: the exit code, what is printed, what is complained of, and the state after it.
SAID = {
    ("pause", "queued"): (*PAUSES, "paused"),
    ("pause", "paused"): (*PAUSES, "paused"),
    ("pause", "held_by_a_worker"): (*PAUSES, "paused"),
    ("pause", "over"): (*NOTHING_TO_PAUSE, "running"),
    ("pause", "with_a_dead_letter"): (*NOTHING_TO_PAUSE, "running"),
    ("pause", "cancelled"): (*STAYS, "cancelled"),
    ("pause", "waiting_for_its_start"): (*PAUSES, "paused"),
    ("pause", "absent"): (*NOT_THERE, None),
    ("resume", "queued"): (*RUNS, "running"),
    ("resume", "paused"): (*RUNS, "running"),
    ("resume", "held_by_a_worker"): (*RUNS, "running"),
    ("resume", "over"): (*NOTHING_TO_RESUME, "running"),
    ("resume", "with_a_dead_letter"): (*NOTHING_TO_RESUME, "running"),
    ("resume", "cancelled"): (*STAYS, "cancelled"),
    ("resume", "waiting_for_its_start"): (*RUNS, "running"),
    ("resume", "absent"): (*NOT_THERE, None),
    ("cancel", "queued"): (0, "spring: cancelled, 2 recipients will get nothing", "", "cancelled"),
    ("cancel", "paused"): (0, "spring: cancelled, 2 recipients will get nothing", "", "cancelled"),
    ("cancel", "held_by_a_worker"): (
        0,
        f"spring: cancelled, 0 recipients will get nothing; {HELD}",
        "",
        "cancelled",
    ),
    ("cancel", "over"): (*NOTHING_TO_CANCEL, "running"),
    ("cancel", "with_a_dead_letter"): (
        0,
        "spring: cancelled, 0 recipients will get nothing",
        "",
        "cancelled",
    ),
    ("cancel", "cancelled"): (
        0,
        "spring: cancelled, 0 recipients will get nothing",
        "",
        "cancelled",
    ),
    ("cancel", "waiting_for_its_start"): (
        0,
        "spring: cancelled, 2 recipients will get nothing",
        "",
        "cancelled",
    ),
    ("cancel", "absent"): (*NOT_THERE, None),
    ("schedule", "queued"): (*BEGINS, "running"),
    ("schedule", "paused"): (*BEGINS, "paused"),
    ("schedule", "held_by_a_worker"): (*BEGINS, "running"),
    ("schedule", "over"): (*NOBODY, "running"),
    ("schedule", "with_a_dead_letter"): (*NOBODY, "running"),
    ("schedule", "cancelled"): (1, "", "was cancelled", "cancelled"),
    ("schedule", "waiting_for_its_start"): (*BEGINS, "running"),
    ("schedule", "absent"): (*NOT_THERE, None),
}
WORDS = {"schedule": ("--now",), "cancel": ("--yes",)}


def test_every_command_is_tried_in_every_state():
    commands = ("pause", "resume", "cancel", "schedule")
    assert set(SAID) == {(command, state) for command in commands for state in STATES}


@pytest.mark.parametrize(("command", "state"), SAID)
def test_each_command_says_what_it_did_in_each_state(mailer, client, command, state):
    code, out, complaint, after = SAID[command, state]
    STATES[state](client)
    ran = mailer(command, "spring", *WORDS.get(command, ()))
    assert ran.code == code, ran.err
    assert " ".join(ran.out.split()) == out
    assert complaint in " ".join(ran.err.split())
    assert bool(ran.err) is bool(complaint)
    if after is None:
        assert Campaigns(client).names() == [], "a slip makes no campaign"
    else:
        assert Campaigns(client).progress("spring", time()).state == after


@pytest.mark.parametrize("command", ["pause", "resume", "cancel"])
@pytest.mark.parametrize("state", [name for name in STATES if name != "absent"])
def test_the_same_command_twice_changes_nothing_more(mailer, client, command, state):
    STATES[state](client)
    first = mailer(command, "spring", *WORDS.get(command, ()))
    stands = outcomes(client), Campaigns(client).progress("spring", time()).state
    second = mailer(command, "spring", *WORDS.get(command, ()))
    assert second.code == first.code
    assert (outcomes(client), Campaigns(client).progress("spring", time()).state) == stands


def test_a_start_that_is_moved_is_seen(mailer, client):
    queued(client)
    ran = mailer("schedule", "spring", "--at", "+2h")
    assert ran.code == 0
    assert ran.out.startswith("spring: begins at ")
    seen = json.loads(mailer("status", "spring", "--json").out)
    assert seen["start"] == pytest.approx(time() + 7200, abs=120)
    assert seen["says"].startswith("waiting until ")


def test_a_start_that_is_past_is_now(mailer, client):
    waiting_for_its_start(client)
    assert mailer("schedule", "spring", "--at", "2020-01-01 08:00").out == "spring: begins now\n"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "say when: --at TIME, or --now"),
        (("--now", "--at", "+2h"), "say when: --at TIME, or --now"),
        (("--at", "whenever"), "--at"),
    ],
)
def test_a_start_must_be_said_and_once(mailer, client, words, complaint):
    queued(client)
    ran = mailer("schedule", "spring", *words)
    assert ran.code == 2
    assert complaint in ran.err
    assert json.loads(mailer("status", "spring", "--json").out)["start"] is None
