"""A message that kills whoever touches it ends alone; all others of its batch are delivered."""

import pytest

from tests.chaos.world import Verdict, World

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

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
    settings = {"batch_size": 8, "lease": 1, "poison_after": 2}
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
