"""What a command says where Redis is away, stands still, or answers and cannot serve."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from mailer.config import load
from mailer.operate.health import readiness, standstill
from mailer.store.connection import connect
from tests.conftest import free_port, has_the_machine_to_itself
from tests.servers.redis_servers import eventually, redis_process, replicated
from tests.store.batches import enqueue, open_campaign

pytestmark = pytest.mark.redis_server

HINT = "start it"
PEOPLE = 5.0
"""Seconds that they wait; a program and a busy machine take theirs on top."""


def mailer(folder, url, *words, code=1):
    """Run a command; returns what it said on standard error, and how long that took."""
    (folder / "mailer.toml").write_text(f'redis = "{url}"\n')
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "mailer", *words],
        cwd=folder,
        env=os.environ | {"MAILER_CONFIG": str(folder / "mailer.toml")},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == code, done
    return done.stderr, time.monotonic() - began


def test_a_redis_that_is_not_there_is_to_be_started(tmp_path):
    said, _ = mailer(tmp_path, f"redis://127.0.0.1:{free_port()}/0", "status")
    assert HINT in said
    assert ".;" not in said


def test_a_redis_that_stands_still_is_not_to_be_started_and_people_wait_five_seconds(tmp_path):
    with redis_process(tmp_path / "redis") as server:
        server.process.send_signal(signal.SIGSTOP)
        said, seconds = mailer(tmp_path, server.url, "status")
    assert "stands still" in said
    assert HINT not in said
    assert seconds < PEOPLE + (4 if has_the_machine_to_itself() else 25)


@pytest.mark.parametrize("slots", [(), (0, 8000), (0, 16383)], ids=["none", "half", "all"])
def test_a_node_of_a_cluster_is_named_as_one_whichever_slots_it_has(tmp_path, slots):
    # The port for other nodes would be ten thousand above its own, and may be somebody's.
    settings = "cluster-enabled yes", f"cluster-port {free_port()}"
    with redis_process(tmp_path / "redis", *settings) as server:
        if slots:
            server.admin().execute_command("CLUSTER", "ADDSLOTSRANGE", *slots)
        if slots == (0, 16383):
            ask = ("CLUSTER", "INFO")
            eventually(lambda: b"cluster_state:ok" in server.admin().execute_command(*ask))
        # Of one that has all slots, what only reads a key at a time shows what it finds, and says it too.
        reads = 0 if slots == (0, 16383) else 1
        for words, code in ((("status",), reads), (("suppress", "add", "a@example.org"), 1)):
            said, _ = mailer(tmp_path, server.url, *words, code=code)
            assert "Redis Cluster is not supported" in said, words


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        (("maxmemory", "1"), "Redis is out of memory"),
        (("min-replicas-to-write", "1"), "Redis has too few replicas"),
    ],
)
def test_a_redis_that_refuses_is_named_with_what_to_do_and_no_more(tmp_path, setting, says):
    with redis_process(tmp_path / "redis") as server:
        client = connect(server.url)
        open_campaign(client)
        client.close()
        server.admin().config_set(*setting)
        for words in (("pause", "spring"), ("suppress", "add", "a@example.org")):
            said, _ = mailer(tmp_path, server.url, *words)
            assert says in said, words
            assert HINT not in said
            assert not re.search(r"[0-9a-f]{40}|user_script", said), (
                "a script's digest says nothing"
            )


def test_status_and_readiness_say_that_redis_takes_no_writes_though_it_can_be_read(tmp_path):
    with redis_process(tmp_path / "redis") as server:
        client = connect(server.url)
        open_campaign(client)
        enqueue(client, [1, 2])
        client.close()
        server.admin().config_set("maxmemory", "1")
        said, _ = mailer(tmp_path, server.url, "status", code=0)
        assert "Redis takes no writes, and workers wait: Redis is out of memory" in said
        assert "no worker runs" not in said  # they cannot say that they do
        settings = load(tmp_path / "mailer.toml", {})
        (check,) = readiness(settings)
        assert (check.name, check.ok) == ("redis", False)
        assert standstill(settings).what == "Redis takes no writes"


def test_a_replica_is_named_as_one(tmp_path):
    with redis_process(tmp_path / "redis") as server:
        server.admin().replicaof("127.0.0.1", free_port())
        eventually(lambda: server.admin().info("replication")["role"] == "slave")
        said, _ = mailer(tmp_path, server.url, "suppress", "add", "a@example.org")
    assert "replica" in said
    assert HINT not in said


def test_a_redis_with_all_its_connections_taken_is_named_as_one_within_seconds(tmp_path):
    with redis_process(tmp_path / "redis") as server:
        admin = server.admin()
        admin.config_set("maxclients", "1")
        for words in (("status",), ("suppress", "add", "a@example.org")):
            said, seconds = mailer(tmp_path, server.url, *words)
            assert "as many connections as it takes (maxclients)" in said
            assert HINT not in said
            assert seconds < PEOPLE + (4 if has_the_machine_to_itself() else 25)


def test_a_service_that_no_sentinel_knows_is_named_and_so_is_a_sentinel_in_redis_place(tmp_path):
    with replicated(tmp_path / "redis", 0) as found:
        said, _ = mailer(tmp_path, found.url.replace("/main/", "/mian/"), "status")
        assert "the Sentinels know no service 'mian'" in said
        said, _ = mailer(tmp_path, f"redis://127.0.0.1:{found.sentinel.port}/0", "status")
        assert "is it a Sentinel (sentinel://host/service)" in said
        assert HINT not in said
    said, _ = mailer(tmp_path, f"sentinel://127.0.0.1:{free_port()}/main/0", "status")
    assert "no Sentinel answers" in said


def test_a_sentinel_that_stands_still_is_waited_for_once_and_not_at_each_connection(tmp_path):
    with replicated(tmp_path / "redis", 0) as found, socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        client = connect(found.url.replace("sentinel://", f"sentinel://127.0.0.1:{port},"))
        client.ping()
        mute.settimeout(0)
        asked = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                mute.accept()[0].close()
                asked += 1
        for _ in range(3):
            client.connection_pool.disconnect()
            client.ping()
        with pytest.raises(BlockingIOError):
            mute.accept()
        client.close()
    assert asked <= 3  # by the client, and by who watches over the master


def test_a_database_that_is_not_there_is_named_as_one(tmp_path):
    with redis_process(tmp_path / "redis") as server:
        said, _ = mailer(tmp_path, server.url.removesuffix("/0") + "/99", "status")
    assert "has no database of that number" in said
    assert HINT not in said
