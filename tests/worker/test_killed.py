"""Dead letters survive that workers and operators are killed in the middle of their work."""

import os
import subprocess
import sys
import time

import pytest

from mailer.store.dead_letters import DeadLetters
from mailer.worker.dead_letters import DeadLetterDuty
from tests.servers.cluster import mailbox
from tests.servers.waiting import eventually

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

TOTAL, BATCH = 3_000, 10


def mailer(cluster, *arguments):
    """Start a command line in the cluster's folder."""
    return subprocess.Popen(
        [sys.executable, "-c", "from mailer.cli import main; main()", *arguments],
        cwd=cluster.folder,
        env=os.environ | {"MAILER_CONFIG": str(cluster.folder / "mailer.toml")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def buried(cluster):
    return cluster.outcomes("spring").get("dead", 0)


def shows_all(cluster):
    letters = DeadLetters(cluster.client)
    return not letters.unpublished() and len(cluster.queue) == len(letters)


def test_a_worker_killed_while_it_buries_leaves_each_message_in_one_letter_that_shows_once(
    cluster, smtp
):
    smtp.passwords["primary"] = "changed"
    worker = cluster.start("one")
    cluster.enqueue("spring", "primary", TOTAL, BATCH)
    eventually(lambda: buried(cluster) > TOTAL // 10, every=0.01)
    worker.kill()
    worker.wait()
    assert buried(cluster) < TOTAL, "it was killed too late to show anything"
    cluster.start("two")
    eventually(lambda: buried(cluster) == TOTAL)
    letters = cluster.letters()
    assert sum(letter.messages for letter in letters) == TOTAL
    assert len({position for letter in letters for position in letter.positions}) == TOTAL
    eventually(lambda: not DeadLetters(cluster.client).unpublished())
    DeadLetterDuty(cluster.client, cluster.broker).tidy()
    eventually(lambda: shows_all(cluster))


def test_a_replay_killed_in_the_middle_and_run_again_sends_everything_once(cluster, smtp):
    smtp.passwords["primary"] = "changed"
    cluster.start("one")
    cluster.enqueue("spring", "primary", TOTAL, BATCH)
    eventually(lambda: buried(cluster) == TOTAL)
    eventually(lambda: shows_all(cluster))
    cluster.set_password("primary", "changed")
    cluster.breaker.start("primary", time.time())
    letters = len(cluster.letters())
    replay = mailer(cluster, "dead", "replay")
    eventually(lambda: len(cluster.letters()) < letters * 3 / 4, every=0.01)
    replay.kill()
    replay.communicate()
    assert cluster.letters(), "it was killed too late to show anything"
    again = mailer(cluster, "dead", "replay")
    _, said = again.communicate(timeout=120)
    assert again.returncode == 0, said
    eventually(lambda: cluster.final("spring"))
    assert cluster.outcomes("spring") == {"accepted": TOTAL}, cluster.reasons("spring")
    assert sorted(smtp.mailboxes("primary")) == sorted(
        mailbox("spring", number) for number in range(TOTAL)
    )
    assert len(cluster.queue) == 0
