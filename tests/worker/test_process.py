"""Real workers in each pool: how often they log in, how they end, whose settings they follow."""

import importlib.util
import os
import signal
import subprocess
import sys
from collections import Counter

import pytest

from tests.chaos.world import PATIENCE, Verdict, World, wait_until
from tests.conftest import free_port
from tests.servers.worker import WORKER

pytestmark = pytest.mark.timeout(600)

POOLS = ("prefork", "threads", "solo")


@pytest.fixture
def world(tmp_path):
    with World(tmp_path / "world", login="news@", lease=15) as started:
        yield started


def told(world):
    return Counter(event["event"] for event in world.events())


def log(world):
    return (world.folder / "worker.log").read_text()


@pytest.mark.parametrize("pool", POOLS)
def test_one_login_a_connection_many_batches_and_a_goodbye_at_the_end(world, pool):
    worker = world.start_worker(pool)
    world.enqueue(200)
    Verdict(world, 200).is_once(at_most_uncertain=0)
    worker.terminate()
    assert worker.wait(PATIENCE) == 0, log(world)
    counts = told(world)
    logins = Counter(event["connection"] for event in world.events("login"))
    used = {event["connection"] for event in world.events("accepted")}
    assert used <= logins.keys()
    assert set(logins.values()) == {1}
    assert counts["login"] == counts["quit"]
    assert counts["login"] <= 5, "a batch of twenty opens so many, and later ones use them again"
    assert "secret" not in log(world)


def test_connections_that_the_server_hung_up_are_opened_again(world):
    world.start_worker()
    world.enqueue(20)
    Verdict(world, 20).is_once(at_most_uncertain=0)
    first = {event["connection"] for event in world.events("accepted")}
    world.smtp_proxy.cut()
    world.enqueue(20, "summer")
    assert world.settled(20, "summer") == {"accepted": 20}
    logins = Counter(event["connection"] for event in world.events("login"))
    used = {event["connection"] for event in world.events("accepted")}
    assert used > first
    assert set(logins.values()) == {1}
    assert used <= logins.keys()


@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_that_is_to_stop_finishes_what_it_began_and_gives_the_rest_back(world, pool):
    world.wish({"delay": 0.1})
    worker = world.start_worker(pool)
    world.enqueue(300)
    wait_until(lambda: len(world.events("accepted")) > 20, what="a campaign under way")
    worker.terminate()
    assert worker.wait(PATIENCE) == 0, log(world)
    _, stops, after = log(world).partition("Warm shutdown")
    assert stops
    assert after.count(" received") <= 1, "one may be on its way, it takes no others"
    assert "Traceback" not in after
    stopped = world.outcomes()
    assert stopped == {"accepted": len(world.events("accepted")), "queued": stopped["queued"]}
    assert world.unacknowledged() == 0
    world.wish({"delay": 0})
    world.start_worker(pool)
    Verdict(world, 300).is_once(at_most_uncertain=0)
    assert not world.dead_letters()


def test_a_signal_to_the_whole_process_group_stops_a_worker_in_the_same_way(world):
    """As systemd and Ctrl-C send it."""
    world.wish({"delay": 0.1})
    worker = world.start_worker(concurrency=2)
    world.enqueue(300)
    wait_until(lambda: len(world.events("accepted")) > 20, what="a campaign under way")
    os.killpg(worker.pid, signal.SIGTERM)
    assert worker.wait(PATIENCE) == 0
    assert "prematurely" not in log(world)
    world.wish({"delay": 0})
    world.start_worker()
    Verdict(world, 300).is_once(at_most_uncertain=0)


def test_what_celeryconfig_says_wins_over_the_packages_defaults(world):
    world.configure_celery("worker_prefetch_multiplier = 7\ntask_acks_late = False\n")
    script = (
        "from mailer.celery import app; c = app.conf;"
        "print(c.worker_prefetch_multiplier, c.task_acks_late, c.worker_send_task_events)"
    )
    assert run(world, "-c", script).stdout.split() == ["7", "False", "True"]


def test_a_fault_in_celeryconfig_is_not_hidden(world):
    world.configure_celery("import no_such_module\n")
    ended = run(world, "-c", "import mailer.celery")
    assert ended.returncode != 0
    assert "no_such_module" in ended.stderr


@pytest.mark.skipif(importlib.util.find_spec("gevent") is None, reason="wants gevent")
def test_pools_that_cannot_drive_connections_are_refused_in_words(world):
    worker = world.start_worker("gevent")
    assert worker.wait(PATIENCE) != 0
    assert "use --pool prefork, threads or solo" in log(world)


def test_a_worker_that_finds_no_configuration_says_where_it_looked_in_its_log_file_too(tmp_path):
    environment = {name: value for name, value in os.environ.items() if "MAILER_" not in name}
    environment["MAILER_REDIS"] = f"redis://127.0.0.1:{free_port()}/0"  # nothing is there
    with (tmp_path / "stderr").open("wb") as stderr:
        worker = subprocess.Popen(
            [*WORKER, "--logfile", "worker.log"], cwd=tmp_path, env=environment, stderr=stderr
        )
    file = tmp_path / "worker.log"
    try:
        wait_until(lambda: file.exists() and "Cannot connect to redis" in file.read_text())
    finally:
        worker.kill()
        worker.wait()
    said = file.read_text()
    assert said.count(f"there is no mailer.toml in {tmp_path}, so this worker has no account") == 1
    assert said.index("there is no mailer.toml") < said.index("Cannot connect to redis")


def run(world, *words):
    return subprocess.run(
        [sys.executable, *words],
        cwd=world.folder,
        env=world.environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
