"""A Redis that answers and cannot serve: workers wait for it, and nobody is lost or mailed twice."""

import contextlib
import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.servers.cluster import Cluster
from tests.servers.redis_servers import RedisProcess, redis_process, replicated
from tests.servers.waiting import PATIENCE, eventually

COUNT = 600

pytestmark = [pytest.mark.redis_server, pytest.mark.timeout(600)]

RIGHTS = next(
    line.partition(">password ")[2]
    for line in (Path(__file__).parents[2] / "docs" / "redis.md").read_text("utf-8").splitlines()
    if line.startswith("user mailer on >password ")
)


def full(server: RedisProcess) -> None:
    server.admin().config_set("maxmemory", "1")


def roomy(server: RedisProcess) -> None:
    server.admin().config_set("maxmemory", "0")


def unsaved(server: RedisProcess) -> None:
    """Snapshots fail: where the file should be, there is a folder."""
    (server.folder / "taken").mkdir()
    server.admin().config_set("dbfilename", "taken")
    server.admin().config_set("save", "3600 1")
    server.admin().bgsave()
    eventually(lambda: server.admin().info("persistence")["rdb_last_bgsave_status"] == "err")


def saved(server: RedisProcess) -> None:
    server.admin().config_set("save", "")


def alone(server: RedisProcess) -> None:
    server.admin().config_set("min-replicas-to-write", "1")


def enough(server: RedisProcess) -> None:
    server.admin().config_set("min-replicas-to-write", "0")


@contextlib.contextmanager
def holding(smtp, enough):
    """From the *enough*-th message on, the server's replies wait until the block is over."""
    is_over, reached = threading.Event(), threading.Event()

    def hold(taken):
        if taken.number >= enough:
            reached.set()
            is_over.wait(PATIENCE)

    smtp.on_taken = hold
    try:
        yield reached.is_set
    finally:
        is_over.set()


def all_get_it_once(cluster, smtp, *workers):
    """Wait until the campaign is over: all accepted, nobody twice, and by the workers that began it."""
    eventually(lambda: cluster.final("spring"))
    assert [worker.poll() for worker in workers] == [None] * len(workers)
    assert cluster.outcomes("spring") == {"accepted": COUNT}
    assert set(Counter(smtp.mailboxes("primary")).values()) == {1}


@pytest.mark.parametrize(
    ("hurt", "heal", "says"),
    [
        pytest.param(full, roomy, "Redis is out of memory", id="full memory"),
        pytest.param(unsaved, saved, "Redis cannot write to its disk", id="failing snapshots"),
        pytest.param(alone, enough, "Redis has too few replicas", id="no replicas"),
    ],
)
def test_workers_wait_until_redis_takes_writes_again(tmp_path, smtp, hurt, heal, says) -> None:
    with redis_process(tmp_path / "redis", "enable-protected-configs yes") as server:
        cluster = Cluster(tmp_path, server.url, smtp.port, primary="right")
        try:
            workers = [cluster.start("prefork"), cluster.start("threads", "--pool", "threads")]
            with holding(smtp, COUNT // 10) as is_held:
                cluster.enqueue("spring", "primary", COUNT, batch=50)
                eventually(is_held)
                hurt(server)
            eventually(lambda: f"waiting for Redis: {says}" in cluster.log())
            heal(server)
            all_get_it_once(cluster, smtp, *workers)
            assert "Unrecoverable" not in cluster.log()
            assert len(cluster.log().split("waiting for Redis:")) <= 8  # one a process
        finally:
            cluster.close()


@pytest.mark.parametrize("command", ["hset", "hincrby"])
def test_a_right_that_is_taken_away_in_mid_campaign_is_waited_for(tmp_path, smtp, command) -> None:
    """No script stops in its middle: whoever was accepted is written down once the right is back."""
    with redis_process(tmp_path / "redis", f"user mailer on >x {RIGHTS}") as server:
        url = f"redis://mailer:x@127.0.0.1:{server.port}/0"
        cluster = Cluster(tmp_path, url, smtp.port, primary="right")
        try:
            worker = cluster.start("one")
            with holding(smtp, COUNT // 10) as is_held:
                cluster.enqueue("spring", "primary", COUNT, batch=50)
                eventually(is_held)
                server.admin().execute_command("ACL", "SETUSER", "mailer", f"-{command}")
            eventually(lambda: "not all rights that mailer needs" in cluster.log())
            server.admin().execute_command("ACL", "SETUSER", "mailer", "+@all", *RIGHTS.split())
            all_get_it_once(cluster, smtp, worker)
        finally:
            cluster.close()


def test_a_worker_whose_user_has_the_documented_rights_sends_and_can_be_inspected(
    tmp_path, smtp
) -> None:
    with redis_process(tmp_path / "redis", f"user mailer on >x {RIGHTS}") as server:
        url = f"redis://mailer:x@127.0.0.1:{server.port}/0"
        cluster = Cluster(tmp_path, url, smtp.port, primary="right")
        try:
            cluster.start("one")
            cluster.enqueue("spring", "primary", 50)
            eventually(lambda: cluster.final("spring"))

            assert cluster.outcomes("spring") == {"accepted": 50}
            assert cluster.broker.app.control.inspect(["one@test"], PATIENCE).ping()
            assert "NOPERM" not in cluster.log()
        finally:
            cluster.close()


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # sockets that are cut
def test_a_failover_in_mid_campaign_loses_nobody_and_doubles_nobody(tmp_path, smtp) -> None:
    with replicated(tmp_path / "redis", 1, "min-replicas-to-write 1") as found:
        cluster = Cluster(tmp_path, found.url, smtp.port, primary="right")
        try:
            worker = cluster.start("one")
            smtp.delays["DOT"] = 0.05  # so that it is under way all the time
            cluster.enqueue("spring", "primary", COUNT, batch=50)
            eventually(lambda: len(smtp.mailboxes("primary")) > COUNT / 10)
            found.fail_over()
            all_get_it_once(cluster, smtp, worker)
        finally:
            cluster.close()
