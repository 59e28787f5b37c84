"""What a result means for its recipient, and when it is tried again."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.deliver.outcome import judge
from mailer.mail.policy import Retry
from mailer.mail.said import without_addresses
from mailer.mail.status import OPEN, Detail, Status
from mailer.smtp import Action, Fate, Reply, Result, Stage

NOW = 1_000_000.0
RETRY = Retry(first_delay=60, factor=2, max_delay=3600, jitter=0.2, attempts=5, give_up_after=7200)
BEFORE = Detail("r1@example.org")


def refused(action, text="451 4.7.1 later", stage=Stage.RCPT):
    return Result(Fate.REFUSED, stage, Reply.parse(text), action, "a rule")


def judged(
    result, before=BEFORE, *, resend=False, began=NOW, now=NOW, random=lambda: 0.5, retry=RETRY
):
    return judge(result, before, retry=retry, resend=resend, began=began, now=now, random=random)


def test_what_the_server_has_taken_is_accepted():
    result = Result(Fate.ACCEPTED, Stage.FINAL, Reply.parse("250 2.0.0 ok"), Action.OK)
    assert judged(result).status is Status.ACCEPTED


@pytest.mark.parametrize(
    "action",
    [
        Action.FAIL_RECIPIENT,
        Action.FAIL_MESSAGE,
        Action.SMTPUTF8_UNSUPPORTED,
        Action.PROTOCOL_ERROR,
    ],
)
def test_what_is_refused_for_good_is_rejected_with_the_reply_kept(action):
    outcome = judged(refused(action, "550 5.1.1 no such user"))
    assert outcome.status is Status.REJECTED
    assert outcome.detail.reply == "550 5.1.1 no such user"
    assert (outcome.detail.stage, outcome.detail.rule) == ("RCPT", "a rule")


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (Action.AUTH_FAIL, "auth"),
        (Action.ACCOUNT_CONFIG, "account"),
        (Action.REAUTH_ONCE, "account"),
    ],
)
def test_what_only_a_human_can_mend_is_dead_and_speaks_of_the_account(action, reason):
    outcome = judged(refused(action))
    assert (outcome.status, outcome.reason, outcome.trouble) == (Status.DEAD, reason, action)


@pytest.mark.parametrize(
    "action", [Action.THROTTLE_ACCOUNT, Action.ACCOUNT_QUOTA, Action.AUTH_RETRY]
)
def test_waiting_for_the_account_costs_neither_an_attempt_nor_time(action):
    outcome = judged(refused(action), now=NOW + 10 * RETRY.give_up_after)
    assert outcome.status is Status.DEFERRED
    assert outcome.trouble is action
    assert (outcome.detail.attempts, outcome.detail.first) == (0, 0.0)


def test_no_connection_costs_time_and_no_attempt():
    result = Result(Fate.UNSENT, Stage.CONNECT, None, Action.RETRY_LATER, "local: refused")
    first = judged(result)
    assert (first.status, first.detail.attempts, first.detail.due) == (Status.DEFERRED, 0, NOW)
    last = judged(result, first.detail, now=NOW + RETRY.give_up_after)
    assert (last.status, last.reason) == (Status.DEAD, "exhausted")


def test_a_message_over_which_connections_break_is_not_tried_for_ever():
    result = Result(Fate.UNSENT, Stage.DATA, None, Action.RETRY_LATER, "local: lost")
    outcome = judged(result)
    assert (outcome.status, outcome.detail.attempts) == (Status.DEFERRED, 1)
    assert outcome.detail.due == NOW + 60


def test_an_uncertain_message_is_held_or_tried_again():
    result = Result(Fate.UNCERTAIN, Stage.FINAL, None, Action.RETRY_LATER, "local: lost")
    held, again = judged(result), judged(result, resend=True)
    assert (held.status, held.reason) == (Status.UNCERTAIN, "uncertain")
    assert (again.status, again.detail.attempts) == (Status.DEFERRED, 1)
    assert (held.unsure, again.unsure) == (False, True)
    spent = judged(result, resend=True, retry=replace(RETRY, attempts=1))
    assert (spent.reason, spent.unsure) == ("exhausted", True)


def test_delays_double_up_to_the_longest():
    delays = [RETRY.delay(attempt, lambda: 0.5) for attempt in range(1, 9)]
    assert delays == [60, 120, 240, 480, 960, 1920, 3600, 3600]


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_delay_stays_within_its_jitter(attempt, chance):
    middle = min(60 * 2 ** min(attempt - 1, 64), 3600)
    assert 0.8 * middle <= RETRY.delay(attempt, lambda: chance) <= 1.2 * middle + 1e-6


@given(
    st.sampled_from(Action),
    st.sampled_from(list(Fate)),
    st.sampled_from(list(Stage)),
    st.booleans(),
    st.floats(0, 1, exclude_max=True),
)
def test_whatever_happens_everyone_is_final_after_so_many_attempts_or_so_much_time(
    action, fate, stage, resend, chance
):
    """But for what waits for its account."""
    result = Result(fate, stage, None, action)
    detail, now, steps = BEFORE, NOW, 0
    while True:
        outcome = judged(result, detail, resend=resend, now=now, random=lambda: chance)
        assert outcome.detail.mailbox == BEFORE.mailbox
        if outcome.status not in OPEN or outcome.trouble:
            break
        assert now <= outcome.detail.due <= now + 1.2 * RETRY.max_delay
        detail, now, steps = outcome.detail, max(outcome.detail.due, now + 60), steps + 1
        assert steps <= RETRY.give_up_after / 60


def test_replies_are_shown_without_the_addresses_they_quote():
    said = "550 5.1.1 <ada@example.org>: user unknown; see postmaster@example.org"
    assert without_addresses(said) == "550 5.1.1 <…>: user unknown; see …"
