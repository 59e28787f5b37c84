"""A message that kills whoever touches it ends alone; all others of its batch are delivered."""

import time

import pytest

from mailer.mail.message import Message
from mailer.mail.payload import Entry, encode
from mailer.store.ledger import BULK, Ledger
from tests.chaos.world import Verdict, World
from tests.store.batches import fresh, open_campaign

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

LEASE = 3
"""Seconds, and so long lasts each death. Who is held up by a busy machine is not to be taken for dead."""

KILLER = """
import os
import signal
from mailer.mail.message import Message

_chunks = Message.chunks


def _deadly(self, shared):
    if self.forward_path == "r5@example.org":
        os.kill(os.getpid(), signal.SIGKILL)
    return _chunks(self, shared)


Message.chunks = _deadly
"""


def test_one_message_that_kills_its_worker_becomes_one_dead_letter(tmp_path):
    settings = {"batch_size": 8, "lease": LEASE, "poison_after": 2}
    with World(tmp_path / "world", **settings) as world:
        world.configure_celery(KILLER)
        world.start_worker(concurrency=2)
        world.enqueue(24, on_uncertain="resend")
        verdict = Verdict(world, 24)
        verdict.is_whole()
        assert verdict.outcomes == {"accepted": 23, "dead": 1}
        assert verdict.doubles <= 2, "those under way at the first death"
        (letter,) = world.dead_letters()
        assert (letter.reason, letter.positions) == ("poison", (5,))


DEADLY_TO_READ = """
import os
import signal
from mailer.deliver import delivery

_decode = delivery.decode


def _deadly(payload):
    if len(payload) < {size}:
        os.kill(os.getpid(), signal.SIGKILL)
    return _decode(payload)


delivery.decode = _deadly
"""

SMALL_MACHINE = """
import resource
from pathlib import Path
from celery.signals import worker_process_init

HEADROOM = 200 << 20


@worker_process_init.connect(weak=False)
def _bound(**_):
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + HEADROOM
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
"""

LARGE = 600 << 20
"""Octets of a message that compress to a few thousand: more than the small machine has."""


def bomb(octets):
    """A batch of one message of so many octets, as a payload."""
    message = Message("news@shop.example", "r1@example.org", (bytes(octets),), "<1@shop.example>")
    return encode([Entry(message, fresh(1).fingerprint)])


@pytest.mark.parametrize(
    ("configuration", "octets"),
    [
        pytest.param(DEADLY_TO_READ.format(size=160), 2, id="killed"),
        pytest.param(SMALL_MACHINE, LARGE, id="out of memory"),
    ],
)
def test_a_payload_that_kills_whoever_reads_it_is_buried_unread(tmp_path, configuration, octets):
    """The workers are lost over it a few times, and no more; all else is delivered meanwhile."""
    settings = {"batch_size": 8, "lease": LEASE, "poison_after": 2}
    with World(tmp_path / "world", **settings) as world:
        world.configure_celery(configuration)
        open_campaign(world.client, "bomb")
        Ledger(world.client).enqueue(
            "bomb:1",
            run=1,
            queue=BULK,
            account="primary",
            payload=bomb(octets),
            recipients=[fresh(1)],
            now=time.time(),
        )
        world.start_worker(concurrency=2)
        world.enqueue(24, on_uncertain="resend")
        assert world.settled(1, "bomb") == {"dead": 1}
        assert world.settled(24) == {"accepted": 24}
        (letter,) = world.dead_letters()
        assert (letter.reason, letter.campaign) == ("poison", "bomb")
        assert "3 workers were lost" in letter.said.reply
