"""Permits: exact over any window, for any number of workers, in time that the test passes in."""

import threading
from bisect import bisect_left, insort

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailer.mail.schedule import Reset
from mailer.store.limit_rules import AccountRules, Cap, DomainRules, Rules
from mailer.store.limits import Limits

T = 1_795_392_000.0  # a midnight in UTC
DAY = 86400


def limits_of(client, *rates, resets="rolling", warmup=(), domains=()):
    account = AccountRules(tuple(Cap(*rate) for rate in rates), Reset.parse(resets), tuple(warmup))
    by_domain = {domain: rule for rule, names in domains for domain in names}
    return Limits(client, Rules({"a": account}, by_domain))


def sent_at(limits, count, now, domains=None):
    """Take permits for *count* messages and give them back as sent at once; how many there were."""
    grant = limits.take("a", domains or ["x.example"] * count, now)
    limits.give_back(grant, now=now)
    return len(grant.granted)


def all_sent_at(limits, now, most=10_000):
    """Send as many as may be sent at *now*."""
    total = 0
    while total < most and (sent := sent_at(limits, 200, now)):
        total += sent
    return total


@pytest.mark.parametrize(("asked", "granted"), [(29, 29), (30, 30), (31, 30)])
def test_a_window_gives_its_count_and_not_one_more(client, asked, granted):
    assert sent_at(limits_of(client, (30, 60)), asked, T) == granted


def test_a_message_counts_until_its_window_has_passed(client):
    limits = limits_of(client, (30, 60))
    assert sent_at(limits, 30, T) == 30
    assert sent_at(limits, 1, T + 59.99) == 0
    assert sent_at(limits, 31, T + 60.61) == 30


def test_a_message_counts_from_its_permit_and_until_a_window_after_its_end(client):
    limits = limits_of(client, (5, 60))
    grant = limits.take("a", ["x"] * 5, T)
    limits.give_back(grant, now=T + 10)
    assert sent_at(limits, 5, T + 69) == 0
    assert sent_at(limits, 5, T + 71) == 5


def test_permits_that_were_not_used_are_free_at_once(client):
    limits = limits_of(client, (10, 60))
    grant = limits.take("a", ["x"] * 10, T)
    limits.give_back(grant, unused=range(3, 10), now=T)
    assert sent_at(limits, 10, T) == 7


def test_a_grant_may_be_settled_in_parts(client):
    limits = limits_of(client, (10, 60))
    grant = limits.take("a", ["x"] * 10, T)
    rest = limits.give_back(grant, flying=[8, 9], now=T + 1)
    assert list(rest.granted) == [8, 9]
    assert limits.give_back(rest, unused=[9], now=T + 2).token == ""
    assert sent_at(limits, 10, T + 2) == 1


def test_a_dead_workers_grant_counts_as_sent_when_its_flight_is_over(client):
    limits = limits_of(client, (10, 60))
    limits.take("a", ["x"] * 10, T)
    assert sent_at(limits, 10, T + 74) == 0
    assert sent_at(limits, 10, T + 76) == 10


def test_a_grant_given_back_after_its_flight_still_counts_from_then_on(client):
    limits = limits_of(client, (10, 60))
    grant = limits.take("a", ["x"] * 10, T)
    assert sent_at(limits, 1, T + 20) == 0
    limits.give_back(grant, now=T + 30)
    assert sent_at(limits, 1, T + 89) == 0
    assert sent_at(limits, 1, T + 91) == 1


def test_every_window_must_agree(client):
    limits = limits_of(client, (10, 1), (15, 60))
    assert all_sent_at(limits, T) == 10
    assert all_sent_at(limits, T + 2) == 5
    grant = limits.take("a", ["x"], T + 4)
    assert not grant.granted
    assert grant.why == "account 15/minute"
    assert grant.retry_at == pytest.approx(T + 60.6, abs=0.7)


def test_a_refusal_says_when_and_why(client):
    limits = limits_of(client, (4, 1))
    assert all_sent_at(limits, T) == 4
    grant = limits.take("a", ["x"] * 9, T + 0.3)
    assert (list(grant.granted), grant.token) == ([], "")
    assert grant.why == "account 4/second"
    assert grant.wait == pytest.approx(0.71, abs=0.02)
    assert len(limits.take("a", ["x"], grant.retry_at + 0.001).granted) == 1


def test_small_grants_of_short_windows_may_be_asked_again_at_once(client):
    limits = limits_of(client, (100, 1))
    grant = limits.take("a", ["x"] * 200, T)
    assert len(grant.granted) == 25
    assert (grant.wait, grant.why) == (0.0, "")


def test_a_daily_quota_begins_anew_at_its_hour(client):
    limits = limits_of(client, (10, DAY), resets="00:00 UTC")
    assert sent_at(limits, 11, T + DAY - 3) == 10
    refused = limits.take("a", ["x"], T + DAY - 1)
    assert (refused.retry_at, refused.why) == (T + DAY, "account 10/day until 00:00 UTC")
    assert sent_at(limits, 11, T + DAY) == 10


def test_what_flies_over_the_reset_counts_on_both_sides(client):
    limits = limits_of(client, (10, DAY), resets="00:00 UTC")
    grant = limits.take("a", ["x"] * 10, T + DAY - 1)
    assert sent_at(limits, 10, T + DAY + 1) == 0
    limits.give_back(grant, now=T + DAY + 2)
    assert sent_at(limits, 10, T + DAY + 3) == 0
    assert sent_at(limits, 11, T + 2 * DAY) == 10


def test_warm_up_counts_the_days_on_which_was_sent(client):
    limits = limits_of(client, warmup=(5, 20))
    assert sent_at(limits, 100, T) == 5
    assert sent_at(limits, 100, T + 3600) == 0
    assert limits.take("a", ["x"], T + 3600).why == "warm-up"
    assert sent_at(limits, 100, T + 3 * DAY) == 20, "the silent days are no steps"
    assert sent_at(limits, 300, T + 4 * DAY) == 300


def test_domains_have_limits_of_their_own_over_all_accounts(client):
    rule = DomainRules("gmail.com", (Cap(3, 60),))
    rules = Rules({"a": AccountRules(), "b": AccountRules()}, {"gmail.com": rule})
    limits = Limits(client, rules)
    batch = ["gmail.com", "x.example", "Gmail.com", "gmail.com", "gmail.com", "x.example"]
    grant = limits.take("a", batch, T)
    assert list(grant.granted) == [0, 1, 2, 3, 5]
    assert grant.why == "domain gmail.com 3/minute"
    assert list(limits.take("b", ["gmail.com", "x.example"], T).granted) == [1]


def test_a_group_of_domains_shares_one_limit(client):
    rule = DomainRules("microsoft", (Cap(2, 60),))
    limits = limits_of(client, domains=[(rule, ["outlook.com", "hotmail.com"])])
    assert sent_at(limits, 3, T, ["outlook.com", "hotmail.com", "outlook.com"]) == 2


def test_connections_to_a_domain_bound_what_is_on_its_way(client):
    rule = DomainRules("gmail.com", connections=2)
    limits = limits_of(client, domains=[(rule, ["gmail.com"])])
    first = limits.take("a", ["gmail.com"] * 3, T)
    assert list(first.granted) == [0, 1]
    assert first.why == "domain gmail.com: 2 at once"
    limits.give_back(first, flying=[1], now=T + 0.1)
    assert sent_at(limits, 3, T + 0.1, ["gmail.com"] * 3) == 1


def test_a_domains_limit_leaves_the_accounts_permits_to_others(client):
    rule = DomainRules("gmail.com", (Cap(1, 60),))
    limits = limits_of(client, (10, 60), domains=[(rule, ["gmail.com"])])
    grant = limits.take("a", ["gmail.com"] * 9 + ["x.example"] * 20, T)
    assert list(grant.granted) == [0, *range(9, 18)]
    assert grant.why == "account 10/minute"


def test_more_limited_domains_than_one_call_can_tell_apart_come_with_the_next(client):
    rules = [(DomainRules(f"d{n}", (Cap(1, 60),)), [f"d{n}.example"]) for n in range(300)]
    limits = limits_of(client, domains=rules)
    names = [f"d{n}.example" for n in range(300)]
    grant = limits.take("a", names, T)
    assert list(grant.granted) == list(range(255))
    assert grant.wait == 0.0
    assert len(limits.take("a", names[255:], T).granted) == 45


def test_an_account_without_limits_asks_redis_once_a_second(client):
    limits = Limits(client, Rules())
    limits.take("a", ["x"], T)
    before = client.info("commandstats")["cmdstat_evalsha"]["calls"]
    for tick in range(100):
        grant = limits.take("a", ["x"] * 200, T + tick / 100)
        assert len(grant.granted) == 200
        limits.give_back(grant)
    assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == before


def test_without_a_time_the_clock_of_redis_counts(client):
    limits = limits_of(client, (10, 60))
    seconds, micros = client.time()
    grant = limits.take("a", ["x"] * 10)
    assert 0 <= grant.taken_at - (seconds + micros / 1e6) < 5
    limits.give_back(grant)
    assert not limits.take("a", ["x"]).granted


def test_windows_leave_nothing_behind(client):
    limits = limits_of(client, (10, 1), (100, 60))
    sent_at(limits, 5, T)
    for key in client.scan_iter("mailer:permits:*"):
        assert 0 < client.ttl(key) <= 300


def test_usage_tells_what_is_used_of_what(client):
    limits = limits_of(client, (10, 60), (50, DAY), resets="00:00 UTC", warmup=(20,))
    sent_at(limits, 4, T)
    assert [(u.limit, u.used, u.allowed) for u in limits.usage("a", T + 1)] == [
        ("account 10/minute", 4, 10),
        ("account 50/day until 00:00 UTC", 4, 50),
        ("warm-up", 4, 20),
    ]
    assert limits.usage("a", T + DAY)[2].allowed is None


EVENT = st.tuples(
    st.floats(0, 2.5),  # until the next batch asks
    st.integers(1, 12),  # its messages
    st.floats(0, 3.0),  # from permit to its last reply
    st.integers(0, 3),  # of which were not sent after all
    st.randoms(use_true_random=False),
)


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    count=st.integers(1, 9), window=st.sampled_from([1, 2, 7]), events=st.lists(EVENT, max_size=40)
)
def test_no_window_sees_more_than_its_count_wherever_messages_arrive(client, count, window, events):
    """The server counts a message at any moment between its permit and the reply."""
    client.flushall()
    limits = limits_of(client, (count, window))
    now, open_grants, arrivals = T, [], []
    for later, asked, flight, idle, random in events:
        now += later
        while open_grants and open_grants[0][0] <= now:
            ended, _, grant, unused = open_grants.pop(0)
            limits.give_back(grant, unused=unused, now=ended)
        grant = limits.take("a", ["x"] * asked, now)
        unused = list(grant.granted)[:idle]
        sent = len(grant.granted) - len(unused)
        arrivals += [random.uniform(now, now + flight) for _ in range(sent)]
        insort(open_grants, (now + flight, len(arrivals), grant, unused), key=lambda one: one[:2])
    arrivals.sort()
    for index, first in enumerate(arrivals):
        assert bisect_left(arrivals, first + window) - index <= count


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    count=st.sampled_from([14, 50, 300]),
    workers=st.integers(1, 4),
    flight=st.floats(0.005, 0.06),
)
def test_at_least_nine_tenths_of_a_rate_are_used_while_there_is_work(
    client, count, workers, flight
):
    """Workers that ask again at `retry_at`, with replies after up to 60 ms."""
    client.flushall()
    limits = limits_of(client, (count, 1))
    sent, seconds = 0, 12.0
    turns = [(T + n * 0.01, n) for n in range(workers)]
    while turns[0][0] < T + seconds:
        now, who = turns.pop(0)
        grant = limits.take("a", ["x"] * 200, now)
        limits.give_back(grant, now=now + flight)
        sent += len(grant.granted)
        again = now + flight if grant.granted else max(grant.retry_at, now) + 0.002
        insort(turns, (again, who))
    assert sent <= count * (seconds + 1)
    assert sent >= 0.9 * count * seconds


def test_threads_that_ask_at_once_never_get_more_than_the_limit_together(redis_url, client):
    granted = []

    def ask():
        limits = limits_of(redis.Redis.from_url(redis_url, protocol=2), (100, 60))
        granted.extend(sent_at(limits, 3, T) for _ in range(40))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(granted) == 100


@pytest.mark.parametrize(
    "rates",
    [
        ((200, 1), (9000, 60)),
        ((14, 1), (50_000, DAY)),
        ((1, 1), (10_000, 60)),
        ((3, 10), (2000, DAY)),
        ((500, 1), (30, 60)),
    ],
)
def test_what_is_worth_asking_for_is_never_more_than_can_be_had(client, rates):
    room = limits_of(client, *rates).room("account:a", T)
    assert 1 <= room.least <= room.free
