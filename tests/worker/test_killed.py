"""Dead letters survive that workers and operators are killed in the middle of their work."""

import os
import subprocess
import sys
import time

import pytest

from mailer.store.dead_letters import DeadLetters
from mailer.worker.dead_letters import DeadLetterDuty
from tests.chaos.proxy import Proxy
from tests.chaos.world import script_needle
from tests.servers.cluster import kill_group, mailbox
from tests.servers.waiting import PATIENCE, eventually

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

TOTAL, BATCH = 600, 10


@pytest.fixture
def proxy(cluster):
    """What stands between Redis and workers and commands: it can stop one of them at a step."""
    port = int(cluster.redis_url.rpartition(":")[2].partition("/")[0])
    made = Proxy(port)
    text = (cluster.folder / "mailer.toml").read_text()
    cluster.configure(text.replace(f":{port}/", f":{made.port}/"))
    yield made
    made.close()


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
    cluster, proxy, smtp
):
    smtp.passwords["primary"] = "changed"
    trap = proxy.trap(script_needle("bury"), skip=TOTAL // BATCH // 3, after=True)
    worker = cluster.start("one", "--concurrency", "1")
    cluster.enqueue("spring", "primary", TOTAL, BATCH)
    assert trap.sprung.wait(PATIENCE)
    kill_group(worker)
    trap.released.set()
    assert 0 < buried(cluster) < TOTAL
    cluster.start("two")
    eventually(lambda: buried(cluster) == TOTAL)
    letters = cluster.letters()
    assert sum(letter.messages for letter in letters) == TOTAL
    assert len({position for letter in letters for position in letter.positions}) == TOTAL
    eventually(lambda: not DeadLetters(cluster.client).unpublished())
    DeadLetterDuty(cluster.client, cluster.broker).tidy()
    eventually(lambda: shows_all(cluster))


def test_a_replay_killed_in_the_middle_and_run_again_sends_everything_once(cluster, proxy, smtp):
    smtp.passwords["primary"] = "changed"
    cluster.start("one")
    cluster.enqueue("spring", "primary", TOTAL, BATCH)
    eventually(lambda: buried(cluster) == TOTAL)
    eventually(lambda: shows_all(cluster))
    cluster.set_password("primary", "changed")
    cluster.breaker.start("primary", time.time())
    letters = len(cluster.letters())
    trap = proxy.trap(script_needle("exhume"), skip=letters // 3, after=True)
    replay = mailer(cluster, "dead", "replay")
    assert trap.sprung.wait(PATIENCE)
    replay.kill()
    replay.communicate()
    trap.released.set()
    assert 0 < len(cluster.letters()) < letters
    again = mailer(cluster, "dead", "replay")
    _, said = again.communicate(timeout=PATIENCE)
    assert again.returncode == 0, said
    eventually(lambda: cluster.final("spring"))
    assert cluster.outcomes("spring") == {"accepted": TOTAL}, cluster.reasons("spring")
    assert sorted(smtp.mailboxes("primary")) == sorted(
        mailbox("spring", number) for number in range(TOTAL)
    )
    assert len(cluster.queue) == 0
