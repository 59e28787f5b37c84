"""Limits on real workers: two of two processes each, a server that counts by wall clock."""

import os
import signal
import threading
import time
from bisect import bisect_left
from collections import Counter, deque

import pytest

from mailer.mail.message import Message
from mailer.mail.payload import Entry, encode
from mailer.mail.policy import CampaignPolicy
from mailer.queues.broker import Task
from mailer.store.ledger import BULK, Fresh, Ledger
from tests.conftest import has_the_machine_to_itself
from tests.servers.cluster import Cluster
from tests.servers.scripted import ScriptedServer
from tests.servers.waiting import eventually

PATIENCE = 120.0
"""Seconds within which anything happens, on whatever machine."""


@pytest.fixture
def smtp():
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def cluster(tmp_path, redis_url, smtp):
    made = Cluster(tmp_path, redis_url, smtp.port)
    yield made
    made.close()


def configure(cluster, smtp, **accounts):
    """Accounts by name, each with its further lines; the reverse-path of a message is its account."""
    text = f'redis = "{cluster.redis_url}"\n[worker]\nsweep_every = 0.5\nlease = 6\n'
    for name, lines in accounts.items():
        text += f'[accounts.{name}]\nurl = "smtp://127.0.0.1:{smtp.port}"\n{lines}\n'
    cluster.configure(text)


def enqueue(cluster, campaign, account, total, batch=200):
    ledger, now, tasks = Ledger(cluster.client), time.time(), []
    cluster.campaigns.open(
        campaign, digest="d", summary={}, policy=CampaignPolicy(), accept_changes=False, now=now
    )
    for start in range(0, total, batch):
        numbers = range(start, min(start + batch, total))
        ref = cluster.campaigns.next_batch(campaign)
        fresh = [Fresh(f"{number:08x}".encode(), 7) for number in numbers]
        entries = [
            Entry(
                Message(
                    f"{account}@shop.example",
                    f"{campaign}-{number}@example.org",
                    (b"Subject: x\r\n\r\nx\r\n",),
                    f"<{campaign}.{number}@shop.example>",
                ),
                one.fingerprint,
            )
            for number, one in zip(numbers, fresh, strict=True)
        ]
        ledger.enqueue(
            ref,
            run=1,
            queue=BULK,
            account=account,
            payload=encode(entries),
            recipients=fresh,
            now=now,
        )
        tasks.append(Task(BULK, ref, len(entries), account))
    cluster.broker.publish(tasks)
    cluster.campaigns.close(campaign)


def times(smtp, account):
    """When each message of *account* came, by the monotonic clock."""
    return [one.at for one in smtp.taken if one.sender == f"{account}@shop.example"]


def most_within(found, seconds):
    """The most of these times that lie within any *seconds*."""
    return max(bisect_left(found, first + seconds) - index for index, first in enumerate(found))


def throttled(allowed):
    """What Amazon SES answers at a dot where more than *allowed* came within a second."""
    recent, lock = deque(maxlen=allowed), threading.Lock()

    def answer(_connection, _line):
        now = time.monotonic()
        with lock:
            if len(recent) == allowed and recent[0] > now - 1:
                return "454 Throttling failure: Maximum sending rate exceeded."
            recent.append(now)
        return None

    return answer


def share_used(found, count):
    """How much of *count* a second was used: the first window's worth may come at once."""
    return (len(found) - count) / count / (found[-1] - found[0])


@pytest.mark.timeout(600)
def test_rates_hold_over_the_cluster_and_are_used_and_block_nobody_else(cluster, smtp):
    configure(
        cluster,
        smtp,
        slow='rate = "14/second"',
        fast='rate = ["200/second", "9000/minute"]',
        minute='rate = "60/minute"',
        free="",
    )
    cluster.start("one")
    cluster.start("two")
    seconds = 30 if has_the_machine_to_itself() else 10
    enqueue(cluster, "slow", "slow", 14 * seconds)
    enqueue(cluster, "fast", "fast", 200 * seconds)
    enqueue(cluster, "minute", "minute", 100)
    begun = time.monotonic()
    enqueue(cluster, "free", "free", 2_000)
    eventually(lambda: cluster.final("free"), within=PATIENCE)
    assert not cluster.final("minute"), "what has no limit does not wait for what has"
    if has_the_machine_to_itself():
        assert times(smtp, "free")[-1] - begun < 10
    eventually(lambda: cluster.final("slow") and cluster.final("fast"), within=PATIENCE)

    slow, fast = times(smtp, "slow"), times(smtp, "fast")
    assert most_within(times(smtp, "slow"), 1.0) <= 14
    assert most_within(times(smtp, "fast"), 1.0) <= 200
    assert most_within(times(smtp, "minute"), 60.0) <= 60
    if has_the_machine_to_itself():
        assert share_used(slow, 14) >= 0.9
        assert share_used(fast, 200) >= 0.9
    assert len(times(smtp, "minute")) >= 60, "the first minute's are sent at once"
    came = smtp.mailboxes()
    assert len(set(came)) == len(came)


@pytest.mark.timeout(600)
def test_two_campaigns_share_an_account_evenly_though_one_was_first_and_is_larger(cluster, smtp):
    configure(cluster, smtp, shared='rate = "100/second"')
    cluster.start("one")
    enqueue(cluster, "large", "shared", 3_000, batch=100)
    enqueue(cluster, "small", "shared", 400, batch=100)
    eventually(lambda: cluster.final("small"), within=PATIENCE)
    came = smtp.mailboxes()
    begun = next(n for n, mailbox in enumerate(came) if mailbox.startswith("small"))
    until = came.index("small-399@example.org")
    between = Counter(mailbox.partition("-")[0] for mailbox in came[begun:until])
    assert begun <= 1_000
    assert between["large"] <= 1.5 * between["small"] + 200
    assert most_within(times(smtp, "shared"), 1.0) <= 100


@pytest.mark.timeout(600)
def test_a_server_that_throttles_costs_time_and_nothing_else(cluster, smtp):
    total, allowed = 800, 100
    smtp.answer("DOT", throttled(allowed))
    configure(cluster, smtp, ses='provider = "ses"')
    cluster.start("one")
    cluster.start("two")
    enqueue(cluster, "spring", "ses", total, batch=100)
    eventually(lambda: cluster.final("spring"), within=PATIENCE)
    taken = times(smtp, "ses")
    assert cluster.outcomes("spring") == {"accepted": total}
    assert len(set(smtp.mailboxes())) == total
    if has_the_machine_to_itself():
        assert taken[-1] - taken[0] <= 1.3 * total / allowed


@pytest.mark.timeout(600)
def test_connections_stay_below_the_limit_and_a_dead_workers_are_free_within_its_lease(
    cluster, smtp
):
    smtp.delays["DOT"] = 0.02
    configure(cluster, smtp, few="max_connections = 3")
    first = cluster.start("one")
    enqueue(cluster, "spring", "few", 2_000, batch=100)
    eventually(lambda: smtp.open == 3 and smtp.taken)
    cluster.start("two")
    os.kill(first.pid, signal.SIGKILL)
    killed = time.monotonic()
    eventually(lambda: times(smtp, "few")[-1] > killed + 1, within=PATIENCE)
    if has_the_machine_to_itself():
        gap = next(at for at in times(smtp, "few") if at > killed + 1) - killed
        assert gap <= 18, "the lease of 15 seconds, and the time to notice"
    eventually(lambda: cluster.final("spring"), within=PATIENCE)
    assert smtp.most_open <= 3
    outcomes = cluster.outcomes("spring")
    assert outcomes["accepted"] + outcomes.get("uncertain", 0) == 2_000
