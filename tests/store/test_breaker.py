"""Each row of the breaker's tables, on a real Redis, with a clock of the test's own."""

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mailer.mail.said import Said
from mailer.smtp.replies.actions import OnAccount
from mailer.store import breaker as module
from mailer.store import keys
from mailer.store.breaker import (
    COOLING,
    OPERATOR,
    RUNNING,
    STOPPED,
    TURN,
    UNKNOWN,
    Admission,
    Breaker,
    Refusal,
    Trouble,
)
from mailer.store.connection import connect

NOW = 1_800_000_000.0
WRONG = Said(
    stage="AUTH", code=535, enhanced="5.7.8", text="no", action="auth_fail", rule="AUTH 535"
)
BUSY = Said(
    stage="AUTH", code=454, enhanced="4.7.0", text="later", action="auth_retry", rule="AUTH 454"
)


@pytest.fixture
def breaker(client):
    return Breaker(client, random=lambda: 0.5)


def events(client):
    return [json.loads(event)[1] for event in client.zrange(keys.ALERTS, 0, -1)]


def cool(breaker, now, trouble=Trouble.COOLS):
    breaker.refused("a", "one", Refusal(trouble, "auth_retry", BUSY), now)
    return breaker.state("a", now).until - now


def test_an_unknown_account_admits_one_process_which_keeps_its_turn(breaker):
    assert breaker.admit("a", "one", NOW) is Admission.ALONE
    assert breaker.admit("a", "two", NOW) is Admission.NOBODY
    assert breaker.admit("a", "one", NOW + TURN - 1) is Admission.ALONE
    assert breaker.admit("a", "two", NOW + TURN + 1) is Admission.NOBODY


def test_accounts_do_not_wait_for_each_other(breaker):
    assert breaker.admit("a", "one", NOW) == 1
    assert breaker.admit("b", "two", NOW) == 1


def test_a_turn_is_worth_nothing_after_the_account_was_stopped(breaker):
    for owner in ("one", "two"):
        breaker.succeeded("a", owner, NOW)
        assert breaker.admit("a", owner, NOW) is Admission.BESIDE_OTHERS
    breaker.refused("a", "one", Refusal(Trouble.STOPS, "auth", WRONG), NOW)
    assert breaker.admit("a", "two", NOW) is Admission.NOBODY


def test_of_those_who_have_a_turn_when_an_account_is_doubted_nobody_goes_first(breaker):
    for owner in ("one", "two", "three"):
        breaker.succeeded("a", owner, NOW)
        breaker.admit("a", owner, NOW)
    assert breaker.refused("a", "three", Refusal(Trouble.DOUBTED, "account", WRONG), NOW) == UNKNOWN
    assert breaker.admit("a", "one", NOW) is Admission.NOBODY
    breaker.let_go("a", "one")
    assert breaker.admit("a", "two", NOW) is Admission.ALONE


def test_a_turn_lapses_with_its_process_and_not_before(breaker):
    breaker.admit("a", "one", NOW)
    assert breaker.admit("a", "two", NOW + TURN - 0.01) == 0
    assert breaker.admit("a", "two", NOW + TURN + 1) == 1


def test_a_turn_that_is_let_go_is_the_next_ones(breaker):
    breaker.admit("a", "one", NOW)
    breaker.let_go("a", "one")
    assert breaker.admit("a", "two", NOW) == 1


def test_a_running_account_admits_every_process(breaker):
    breaker.admit("a", "one", NOW)
    breaker.succeeded("a", "one", NOW)
    assert breaker.state("a", NOW).state == RUNNING
    found = {breaker.admit("a", owner, NOW) for owner in ("one", "two")}
    assert found == {Admission.BESIDE_OTHERS}


@pytest.mark.parametrize("reason", ["auth", "account"])
def test_credentials_or_settings_refused_stop_the_account(breaker, client, reason):
    breaker.admit("a", "one", NOW)
    assert breaker.refused("a", "one", Refusal(Trouble.STOPS, reason, WRONG), NOW + 1) == STOPPED
    state = breaker.state("a", NOW + 2)
    assert (state.state, state.since, state.reason, state.said) == (
        STOPPED,
        NOW + 1,
        reason,
        WRONG,
    )
    assert state.logins_failed == 1
    assert not state.usable
    assert breaker.admit("a", "two", NOW + 1e6) == 0
    assert client.hget(keys.account("a"), "state") == b"stopped"


def test_a_login_that_succeeds_late_does_not_start_a_stopped_account(breaker):
    for owner in ("one", "two"):
        breaker.admit("a", owner, NOW)
        breaker.succeeded("a", owner, NOW)
    breaker.refused("a", "one", Refusal(Trouble.STOPS, "auth", WRONG), NOW)
    breaker.succeeded("a", "two", NOW)
    assert breaker.state("a", NOW).state == STOPPED


def test_an_event_is_noted_once_however_many_are_refused(breaker, client):
    for owner in ("one", "two", "three"):
        breaker.refused("a", owner, Refusal(Trouble.STOPS, "auth", WRONG), NOW)
    (event,) = events(client)
    assert event["event"] == "account_stopped"
    assert (event["account"], event["reason"], event["reply"]) == ("a", "auth", WRONG.reply)
    assert breaker.state("a", NOW).logins_failed == 3


def test_a_temporary_refusal_cools_and_admits_one_afterwards(breaker, client):
    breaker.admit("a", "one", NOW)
    assert breaker.refused("a", "one", Refusal(Trouble.COOLS, "auth_retry", BUSY), NOW) == COOLING
    assert breaker.admit("a", "two", NOW + 4.99) == 0
    assert breaker.state("a", NOW + 4.99).state == COOLING
    assert breaker.state("a", NOW + 5).state == UNKNOWN
    assert [breaker.admit("a", owner, NOW + 5) for owner in ("two", "three")] == [1, 0]
    assert events(client) == []


def test_delays_double_to_fifteen_minutes_and_success_resets_them(breaker):
    now, delays = NOW, []
    for _ in range(10):
        delays.append(round(cool(breaker, now)))
        now += delays[-1] + 1
    assert delays == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]
    breaker.succeeded("a", "one", now)
    assert round(cool(breaker, now)) == 5


def test_the_breaker_and_the_table_of_actions_use_the_same_words():
    said_of_actions = {effect.value for effect in OnAccount} - {""}
    assert {trouble.value for trouble in Trouble} == said_of_actions | {Trouble.SUSPECTED.value}


def test_a_suspicion_cools_like_other_trouble_and_stops_only_if_it_lasts_an_hour(breaker, client):
    now = NOW
    while now < NOW + module.SUSPECTED_FOR:
        assert cool(breaker, now, Trouble.SUSPECTED) > 0
        assert breaker.state("a", now).state == COOLING
        now = breaker.state("a", now).until + 1
    assert events(client) == []
    cool(breaker, now, Trouble.SUSPECTED)
    state = breaker.state("a", now)
    assert state.state == STOPPED
    assert state.said.reply == "454 4.7.0 for an hour by now: later"
    (event,) = events(client)
    assert event["reply"] == state.said.reply


@pytest.mark.parametrize("running", [False, True])
def test_a_success_ends_a_suspicion(breaker, running):
    if running:
        breaker.succeeded("a", "two", NOW)
    cool(breaker, NOW, Trouble.SUSPECTED)
    breaker.succeeded("a", "two", NOW + 1800)
    breaker.succeeded("a", "two", NOW + 1801)
    cool(breaker, NOW + 3601, Trouble.SUSPECTED)
    assert breaker.state("a", NOW + 3601).state == COOLING


def test_an_old_suspicion_counts_no_more(breaker):
    cool(breaker, NOW, Trouble.SUSPECTED)
    later = NOW + module.SUSPICION_LAPSES + 3600
    cool(breaker, later, Trouble.SUSPECTED)
    assert breaker.state("a", later).state == COOLING


def test_sessions_that_meet_the_same_trouble_cool_the_account_once(breaker):
    assert [round(cool(breaker, NOW + n / 10)) for n in range(3)] == [5, 5, 5]


@pytest.mark.parametrize(("random", "delay"), [(0.0, 4.0), (1.0, 6.0)])
def test_delays_are_jittered_by_a_fifth(client, random, delay):
    breaker = Breaker(client, random=lambda: random)
    assert cool(breaker, NOW) == pytest.approx(delay)


def test_a_quota_cools_until_it_is_renewed(breaker):
    breaker.refused("a", "one", Refusal(Trouble.COOLS, "auth_retry", BUSY), NOW)
    breaker.refused("a", "one", Refusal(Trouble.RESTS, "account_quota", BUSY, NOW + 3600), NOW)
    assert breaker.state("a", NOW).until == NOW + 3600
    breaker.refused("a", "one", Refusal(Trouble.COOLS, "auth_retry", BUSY), NOW + 1)
    assert breaker.state("a", NOW).until == NOW + 3600


def test_a_doubt_asks_for_one_login_and_a_second_doubt_stops(breaker):
    doubt = Said(stage="MAIL", code=530, enhanced="5.7.0", text="authentication required")
    breaker.succeeded("a", "one", NOW)
    assert (
        breaker.refused("a", "one", Refusal(Trouble.DOUBTED, "account", doubt), NOW + 1) == UNKNOWN
    )
    assert (
        breaker.refused("a", "two", Refusal(Trouble.DOUBTED, "account", doubt), NOW + 1) == UNKNOWN
    )
    assert breaker.admit("a", "one", NOW + 2) == 1
    breaker.succeeded("a", "one", NOW + 2)
    assert (
        breaker.refused("a", "one", Refusal(Trouble.DOUBTED, "account", doubt), NOW + 3) == STOPPED
    )
    assert breaker.state("a", NOW + 3).reason == "account"


def test_a_doubt_long_after_another_is_a_first_one(breaker):
    for start in (NOW, NOW + module.SECOND_DOUBT):
        breaker.succeeded("a", "one", start)
        assert (
            breaker.refused("a", "one", Refusal(Trouble.DOUBTED, "account", WRONG), start + 1)
            == UNKNOWN
        )


def test_the_end_of_the_session_is_added_to_what_stopped_the_account_and_to_nothing_else(breaker):
    dialogue = ("C: AUTH PLAIN ***", "S: 535 5.7.8 no")
    breaker.explain("a", dialogue)
    assert breaker.state("a", NOW).said == Said()
    breaker.refused("a", "one", Refusal(Trouble.STOPS, "auth", WRONG), NOW)
    breaker.explain("a", dialogue)
    breaker.explain("a", ("S: something else",))
    assert breaker.state("a", NOW).said == replace(WRONG, dialogue=dialogue)


def test_starting_admits_one_login_and_is_noted(breaker, client):
    breaker.refused("a", "one", Refusal(Trouble.STOPS, "auth", WRONG), NOW)
    assert breaker.start("a", NOW + 9) == STOPPED
    assert breaker.state("a", NOW + 9).state == UNKNOWN
    assert [breaker.admit("a", owner, NOW + 9) for owner in ("one", "two")] == [1, 0]
    assert [event["event"] for event in events(client)] == ["account_stopped", "account_started"]


def test_starting_what_was_not_stopped_ends_its_cooling_and_is_no_event(breaker, client):
    breaker.refused("a", "one", Refusal(Trouble.COOLS, "auth_retry", BUSY), NOW)
    assert breaker.start("a", NOW) == COOLING
    assert breaker.admit("a", "one", NOW) == 1
    breaker.succeeded("a", "one", NOW)
    assert breaker.start("a", NOW) == RUNNING
    assert breaker.state("a", NOW).state == RUNNING
    assert events(client) == []


def test_stopping_twice_is_one_event(breaker, client):
    assert breaker.stop("a", OPERATOR, NOW) == UNKNOWN
    assert breaker.stop("a", OPERATOR, NOW + 1) == STOPPED
    assert breaker.state("a", NOW + 1).since == NOW
    assert len(events(client)) == 1


def test_trouble_does_not_hide_that_an_operator_stopped_the_account(breaker):
    breaker.stop("a", OPERATOR, NOW)
    breaker.refused("a", "one", Refusal(Trouble.STOPS, "auth", WRONG), NOW)
    assert breaker.state("a", NOW).reason == OPERATOR


def test_an_operators_probe_may_log_in_while_the_account_is_stopped(breaker):
    breaker.refused("a", "one", Refusal(Trouble.STOPS, "auth", WRONG), NOW)
    assert breaker.begin_probe("a", "cli", NOW)
    assert not breaker.begin_probe("a", "other", NOW)
    breaker.refused("a", "cli", Refusal(Trouble.STOPS, "auth", WRONG), NOW)
    assert breaker.begin_probe("a", "other", NOW)


def test_a_timed_probe_is_one_callers_once_an_interval(breaker):
    breaker.refused("a", "one", Refusal(Trouble.STOPS, "auth", WRONG), NOW)
    assert not breaker.begin_probe("a", "one", NOW + 899, every=900)
    assert breaker.begin_probe("a", "one", NOW + 900, every=900)
    breaker.refused("a", "one", Refusal(Trouble.STOPS, "auth", WRONG), NOW + 901)
    assert not breaker.begin_probe("a", "two", NOW + 901, every=900)
    assert breaker.begin_probe("a", "two", NOW + 1800, every=900)


def test_a_probe_whose_reply_was_lost_is_granted_when_the_call_is_repeated(breaker):
    breaker.refused("a", "one", Refusal(Trouble.STOPS, "auth", WRONG), NOW)
    for _ in range(2):
        assert breaker.begin_probe("a", "one", NOW + 900, every=900)


def test_what_an_operator_stopped_or_nobody_stopped_is_not_probed_by_itself(breaker):
    assert not breaker.begin_probe("a", "one", NOW, every=900)
    breaker.stop("a", OPERATOR, NOW)
    assert not breaker.begin_probe("a", "one", NOW + 1e6, every=900)


def test_all_accounts_that_were_tried_are_listed_by_name(breaker):
    breaker.succeeded("b", "one", NOW)
    breaker.admit("c", "one", NOW)
    breaker.stop("a", OPERATOR, NOW)
    assert [(state.account, state.state) for state in breaker.all(NOW)] == [
        ("a", STOPPED),
        ("b", RUNNING),
        ("c", UNKNOWN),
    ]
    assert breaker.all(NOW)[1].logins_ok == 1


OWNERS = st.sampled_from(["one", "two", "three"])


class Logins(RuleBasedStateMachine):
    """Processes that log in, succeed, fail and die in any order, against the bound."""

    url = ""

    def __init__(self):
        super().__init__()
        self.client = connect(self.url)
        self.client.flushall()
        self.breaker = Breaker(self.client, random=lambda: 0.5)
        self.now = NOW
        self.under_way: set[str] = set()
        self.refusals = 0
        self.bound = 1

    def teardown(self):
        self.client.close()

    @rule(owner=OWNERS)
    def asks(self, owner):
        if owner in self.under_way:  # one login of a process at a time, as its gate sees to
            return
        before = self.breaker.state("a", self.now).state
        if self.breaker.admit("a", owner, self.now):
            assert before in (RUNNING, UNKNOWN)
            assert before == RUNNING or not self.under_way
            self.under_way.add(owner)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def succeeds(self, data):
        owner = data.draw(st.sampled_from(sorted(self.under_way)))
        self.under_way.remove(owner)
        self.breaker.succeeded("a", owner, self.now)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def is_refused(self, data):
        owner = data.draw(st.sampled_from(sorted(self.under_way)))
        if not self.refusals:
            self.bound = len(self.under_way)
        self.under_way.remove(owner)
        self.refusals += 1
        assert (
            self.breaker.refused("a", owner, Refusal(Trouble.STOPS, "auth", WRONG), self.now)
            == STOPPED
        )

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def is_put_off(self, data):
        owner = data.draw(st.sampled_from(sorted(self.under_way)))
        self.under_way.remove(owner)
        self.breaker.refused("a", owner, Refusal(Trouble.COOLS, "auth_retry", BUSY), self.now)

    @rule(seconds=st.floats(0.1, 20.0))
    def time_passes(self, seconds):
        if not self.under_way:  # a turn that lapses in mid-login is another test's
            self.now += seconds

    @precondition(lambda self: not self.under_way)
    @rule()
    def is_started(self):
        self.breaker.start("a", self.now)
        self.refusals, self.bound = 0, 1

    @invariant()
    def failed_logins_keep_their_bound(self):
        assert self.refusals <= self.bound


def test_no_order_of_events_breaks_the_bound_on_failed_logins(redis_url):
    Logins.url = redis_url
    case = Logins.TestCase
    case.settings = settings(
        max_examples=60,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    case("runTest").runTest()
