"""No account holds the workers while another has work, however slow its server is: real processes."""

import time

import pytest

from mailer.store.ledger import PRIORITY
from tests.conftest import has_the_machine_to_itself
from tests.servers.cluster import ACCOUNT, Cluster
from tests.servers.scripted import ANY, ScriptedServer
from tests.servers.waiting import eventually

RECIPIENTS = 600
TARPIT = 3.0
"""Seconds a reply; ten and more are made of it by every message."""


@pytest.fixture
def healthy():
    with ScriptedServer({"good": "right"}) as server:
        server.delays[ANY] = 0.01  # so that the server is the bound, and not this machine
        yield server


@pytest.fixture
def tarpit():
    with ScriptedServer({"slow": "right"}) as server:
        server.delays[ANY] = TARPIT
        yield server


@pytest.fixture
def cluster(tmp_path, redis_url, healthy, tarpit):
    made = Cluster(tmp_path, redis_url, healthy.port, good="right", slow="right")
    text = f'redis = "{redis_url}"\n[worker]\nsweep_every = 0.5\nrequeue_after = 5\ngrace = 1\n'
    for name, server in (("good", healthy), ("slow", tarpit)):
        text += ACCOUNT.format(name=name, port=server.port, connections=8)
    made.configure(text)
    yield made
    made.close()


def seconds_for(cluster, campaign):
    began = time.monotonic()
    cluster.enqueue(campaign, "good", RECIPIENTS, batch=50)
    eventually(lambda: cluster.final(campaign))
    assert cluster.outcomes(campaign) == {"accepted": RECIPIENTS}
    return time.monotonic() - began


@pytest.mark.timeout(600)
def test_beside_a_tarpit_an_account_keeps_half_of_its_rate_and_single_messages_their_second(
    cluster, healthy, tarpit
):
    cluster.start("one")
    cluster.enqueue("warm", "good", 100, batch=10)
    eventually(lambda: cluster.final("warm"))
    alone = seconds_for(cluster, "alone")
    cluster.enqueue("stuck", "slow", 320, batch=20)
    eventually(lambda: len(tarpit.connections) > 0)
    beside = seconds_for(cluster, "beside")
    tarpit.delays[ANY] = 30.0
    slower = seconds_for(cluster, "slower")
    waited = []
    for number in range(5):
        heard = len(healthy.mailboxes("good"))
        began = time.monotonic()
        cluster.enqueue(f"single{number}", "good", 1, queue=PRIORITY)
        eventually(lambda heard=heard: len(healthy.mailboxes("good")) > heard, every=0.01)
        waited.append(time.monotonic() - began)
    figures = f"alone {alone:.1f} s, beside {beside:.1f} s, 30 s a reply {slower:.1f} s, {waited}"
    # What a tarpit costs where nothing is kept for others is minutes: 3 or 30 seconds a reply.
    much = 1 if has_the_machine_to_itself() else 5
    assert beside < 2 * alone * much, figures
    assert slower < 2 * alone * much, figures
    assert sorted(waited)[2] < 1.0 * much, figures


@pytest.mark.timeout(600)
def test_single_messages_through_a_slow_account_hold_nobody_else(cluster, healthy, tarpit):
    """Each has a batch of its own: they would take every place of every process, for minutes."""
    tarpit.delays.clear()
    tarpit.delays["DOT"] = 30.0
    cluster.start("one")
    cluster.enqueue("warm", "good", 100, batch=10)
    eventually(lambda: cluster.final("warm"))
    for number in range(150):
        cluster.enqueue(f"reset{number}", "slow", 1, queue=PRIORITY)
    eventually(lambda: len(tarpit.connections) > 0)
    cluster.enqueue("beside", "good", 300, batch=50)
    cluster.enqueue("urgent", "good", 1, queue=PRIORITY)
    eventually(lambda: cluster.final("beside") and cluster.final("urgent"))
    assert cluster.outcomes("beside") == {"accepted": 300}
    assert len(tarpit.taken) < 150
