"""Throttling replies lower an account's rate or connections for all workers; time raises them again."""

from collections import deque

import pytest
import redis

from mailer.mail.schedule import Reset
from mailer.store.limit_rules import AccountRules, Cap, Rules
from mailer.store.limits import Limits
from mailer.store.pace import Pace, speaks_of_connections
from mailer.store.slots import Slots

T = 1_795_392_000.0
RATE = "454 Throttling failure: Maximum sending rate exceeded."
CONNECTIONS = "432 4.3.2 Concurrent connections limit exceeded."


def limits_of(client, *rates, resets="rolling"):
    rules = AccountRules(tuple(Cap(*rate) for rate in rates), Reset.parse(resets))
    return Limits(client, Rules({"a": rules}))


def granted_in_a_second(limits, now):
    """How many permits there are within the second that begins at *now*, with the window empty."""
    total = 0
    for _ in range(100):
        grant = limits.take("a", ["x"] * 200, now)
        limits.give_back(grant, now=now)
        if not grant.granted:
            return total
        total += len(grant.granted)
    return total


def test_a_throttling_reply_halves_the_rate_for_every_worker(redis_url, client):
    limits, other = limits_of(client, (100, 1)), limits_of(client, (100, 1))
    slowing = limits.pace.throttled("a", RATE, now=T)
    assert (slowing.what, slowing.share) == ("lowered", 0.5)
    assert granted_in_a_second(other, T + 0.001) == 50


def test_replies_of_the_same_cause_count_once(client):
    pace = limits_of(client, (100, 1)).pace
    pace.throttled("a", RATE, taken_at=T, now=T)
    for late in range(5):
        slowing = pace.throttled("a", RATE, taken_at=T - 0.1 + late / 10, now=T + 1)
        assert slowing.what == "known"
    assert pace.throttled("a", RATE, taken_at=T + 1.2, now=T + 1.3).what == "lowered"


def test_the_rate_comes_back_fast_to_nine_tenths_and_slowly_from_there(client):
    pace = limits_of(client, (100, 1)).pace
    pace.throttled("a", RATE, now=T)
    shares = [pace.state("a", T + second).share for second in (0, 2, 4, 9, 14, 20)]
    assert shares == pytest.approx([0.5, 0.7, 0.9, 0.95, 1.0, 1.0])


def test_recovery_takes_as_many_windows_whatever_their_length(client):
    pace = limits_of(client, (30, 60)).pace
    pace.throttled("a", RATE, now=T)
    assert pace.state("a", T + 120).share == pytest.approx(0.7)


def test_a_rate_never_falls_below_one_message_a_window_and_then_pauses_longer_and_longer(client):
    pace = limits_of(client, (4, 1)).pace
    now, waits = T, []
    for _ in range(6):
        slowing = pace.throttled("a", RATE, now=now)
        waits.append(max(0.0, slowing.until - now))
        assert slowing.share >= 0.25
        now = max(now, slowing.until) + 1.0
    assert waits == sorted(waits)
    assert waits[-1] >= 10


def test_a_quota_is_not_scaled(client):
    limits = limits_of(client, (50, 86400))
    limits.pace.throttled("a", CONNECTIONS, now=T)
    assert limits.usage("a", T)[0].allowed == 50


def test_words_about_connections_halve_the_connections_of_all_workers(client):
    slots, pace = Slots(client), Pace(client)
    slots.acquire("a", 8, 8, "p1", T, 15)
    assert pace.throttled("a", CONNECTIONS, now=T).what == "lowered"
    assert pace.state("a", T).connections == 4
    assert slots.renew("a", "p1", T + 1, 15) == 4
    assert pace.throttled("a", CONNECTIONS, now=T + 1).what == "known"
    assert pace.state("a", T + 61).connections == 6, "one more each half minute"


def test_one_connection_too_many_means_a_pause(client):
    slots, pace = Slots(client), Pace(client)
    slots.acquire("a", 1, 8, "p1", T, 15)
    slowing = pace.throttled("a", CONNECTIONS, now=T)
    assert slowing.until > T
    assert pace.state("a", T).connections == 1


@pytest.mark.parametrize(
    ("reply", "connections"),
    [
        (CONNECTIONS, True),
        ("421 4.4.5 Too many connections from your host", True),
        ("432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", True),
        ("454 4.7.0 Too many active sessions for user", True),
        ("421 4.3.2 Maximum number of concurrent connections, closing transmission channel.", True),
        (RATE, False),
        ("421 4.7.0 Try again later, closing connection.", False),
        ("421 4.7.28 unusual rate of unsolicited mail originating from your IP address", False),
        ("450 4.7.1 Error: too much mail from 192.0.2.1", False),
    ],
)
def test_a_replys_words_say_whether_connections_are_meant(reply, connections):
    assert speaks_of_connections(reply) is connections


def test_a_time_that_the_reply_names_is_waited_for(client):
    limits = limits_of(client, (100, 1))
    limits.pace.throttled("a", "451 4.7.1 Too fast, try again in 30 seconds", now=T)
    grant = limits.take("a", ["x"], T + 1)
    assert (list(grant.granted), grant.retry_at) == ([], T + 30)
    assert "pause" in grant.why
    assert limits.take("a", ["x"], T + 30).granted


def test_a_pause_reaches_accounts_without_limits_within_a_second(redis_url, client):
    limits = Limits(client, Rules())
    other = Limits(redis.Redis.from_url(redis_url, protocol=2), Rules())
    assert other.take("a", ["x"], T).granted
    limits.pace.throttled("a", "451 4.7.1 Too fast, try again in 600 seconds", now=T)
    assert other.take("a", ["x"], T + 1.01).retry_at == T + 600
    limits.pace.resume("a")
    assert other.take("a", ["x"], T + 2.02).granted


class Server:
    """Accepts at most *rate* messages in any second, and answers 454 to the others."""

    def __init__(self, rate):
        self.rate, self.accepted = rate, deque()

    def submit(self, now):
        while self.accepted and self.accepted[0] <= now - 1:
            self.accepted.popleft()
        if len(self.accepted) >= self.rate:
            return False
        self.accepted.append(now)
        return True


@pytest.mark.parametrize("factor", [0, 10], ids=["no rate", "ten times too much"])
@pytest.mark.parametrize("allowed", [14, 100])
def test_a_server_that_throttles_costs_at_most_three_tenths_more_time(client, factor, allowed):
    """Two workers, simulated: each takes, submits at 2 ms a message, retries what was throttled."""
    limits = limits_of(client, *([(factor * allowed, 1)] if factor else []))
    server, messages = Server(allowed), allowed * 40
    clocks, left, refused = [T, T + 0.001], messages, 0
    while left:
        now = min(clocks)
        who = clocks.index(now)
        grant = limits.take("a", ["x"] * min(200, left), now)
        if not grant.granted:
            clocks[who] = max(grant.retry_at, now) + 0.002
            continue
        unused = list(grant.granted)
        while unused:
            unused.pop()
            now += 0.002
            if not server.submit(now):
                refused += 1
                limits.pace.throttled("a", RATE, taken_at=grant.taken_at, now=now)
                break
            left -= 1
        limits.give_back(grant, unused=unused, now=now)
        clocks[who] = now
    ideal = messages / allowed
    assert max(clocks) - T <= 1.3 * ideal
    assert refused <= 0.1 * messages
