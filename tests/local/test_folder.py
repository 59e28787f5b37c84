"""An embedded server in a folder: shared while somebody uses it, kept on disk, gone with its users."""

import os
import signal
import stat
import subprocess
import sys
from multiprocessing import get_context

import pytest
import redis

from mailer.config import load
from mailer.errors import LocalServerError
from mailer.local import Folder
from tests.local.processes import is_alive
from tests.servers.waiting import eventually

USER = """
import sys
from mailer.local import Folder
with Folder(sys.argv[1]).entered() as url:
    print(url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "data")


@pytest.fixture
def another(folder):
    """Enter the folder in another process; returns it and the URL that it saw."""
    started = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", USER, str(folder.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def server_pid(url):
    with redis.Redis.from_url(url) as client:
        return client.info("server")["process_id"]


def test_what_was_written_is_there_the_next_time(folder):
    for expected in (1, 2, 3):
        with folder.entered() as url, redis.Redis.from_url(url) as client:
            assert client.incr("count") == expected


def test_no_server_is_left_when_the_last_user_has_left(folder):
    with folder.entered() as url:
        pid = server_pid(url)
        with folder.entered() as again:
            assert again == url
        assert is_alive(pid)
    assert not is_alive(pid)


def test_processes_share_one_server_and_it_outlives_who_started_it(folder, another):
    first, url = another()
    with folder.entered() as ours:
        assert ours == url
        first.stdin.close()
        assert first.wait(120) == 0
        assert server_pid(url)


def test_killed_user_leaves_no_server(another):
    process, url = another()
    pid = server_pid(url)
    process.send_signal(signal.SIGKILL)
    process.wait()
    eventually(lambda: not is_alive(pid))


def test_server_that_was_killed_is_started_again_with_its_data(folder, another):
    process, url = another()
    with redis.Redis.from_url(url) as client:
        client.set("kept", "yes")
    process.kill()
    process.wait()
    with folder.entered() as again, redis.Redis.from_url(again) as client:
        assert client.get("kept") == b"yes"


def _count(path):
    with Folder(path).entered() as url, redis.Redis.from_url(url) as client:
        return client.incr("count")


def test_many_at_once_find_one_server(folder):
    with get_context("spawn").Pool(4) as pool:
        counted = pool.map(_count, [folder.path] * 12)
    assert sorted(counted) == list(range(1, 13))


def test_strangers_on_this_machine_cannot_use_it(folder):
    with folder.entered() as url:
        assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder.path / "server.url").stat().st_mode) == 0o600
        without = url.replace(url[url.index("//") + 2 : url.index("@") + 1], "")
        with redis.Redis.from_url(without) as client, pytest.raises(redis.AuthenticationError):
            client.ping()


def test_data_are_appended_and_never_evicted(folder):
    with folder.entered() as url, redis.Redis.from_url(url) as client:
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_settings_get_its_address_whatever_broker_they_had(folder):
    settings = load(environ={"MAILER_BROKER": "amqp://elsewhere//"})
    with folder.entered() as url:
        local = folder.settings(settings, url)
    assert (local.redis, local.broker_url) == (url, url)


def test_second_run_in_a_folder_is_refused_with_the_pid_of_the_first(folder):
    with folder.exclusively(), pytest.raises(LocalServerError) as error, folder.exclusively():
        pass
    assert f"another `mailer run` (process {os.getpid()}) works in {folder.path}" in str(
        error.value
    )
    with folder.exclusively():
        pass


def test_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(
            LocalServerError, match=r"cannot use the folder .*file/data: Not a directory"
        ),
        Folder(tmp_path / "file/data").entered(),
    ):
        pass


def test_fakeredis_stands_in_with_lua(tmp_path):
    port = tmp_path / "port"
    process = subprocess.Popen([sys.executable, "-m", "mailer.local.fake", str(port)])
    try:
        eventually(lambda: port.exists() and port.read_text())
        with redis.Redis(port=int(port.read_text())) as client:
            assert client.eval("return redis.call('incrby', KEYS[1], ARGV[1])", 1, "a", 5) == 5
    finally:
        process.kill()
        process.wait()
