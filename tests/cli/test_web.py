"""`mailer web` makes passwords, and opens the console to nobody by accident."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from urllib.error import HTTPError

import pytest

from mailer.config.passwords import matches
from tests.conftest import free_port
from tests.servers.waiting import eventually


def test_a_hash_is_made_of_what_is_read(mailer):
    ran = mailer("web", "hash", stdin="a long password\n")
    assert ran.code == 0
    assert matches("a long password", ran.out.strip())


def test_a_line_of_the_file_of_users_is_made(mailer):
    ran = mailer("web", "user", "ada", "--role", "operator", stdin="a long password")
    name, role, kept = ran.out.strip().split(":")
    assert (name, role) == ("ada", "operator")
    assert matches("a long password", kept)


@pytest.mark.parametrize("name", ["a:b", "", " ada", "*", "#ada"])
def test_a_name_that_would_break_the_file_is_refused(mailer, name):
    ran = mailer("web", "user", name, stdin="a long password\n")
    assert ran.code == 1
    assert ran.out == ""


def test_a_short_password_is_refused(mailer):
    ran = mailer("web", "hash", stdin="short\n")
    assert ran.code == 1
    assert "eight characters" in ran.err
    assert "short\n" not in ran.out


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "mail.shop.example"])
def test_an_open_console_listens_on_loopback_only(mailer, host):
    ran = mailer("web", "--open-console", "--host", host)
    assert ran.code == 1
    assert "[web] users" in ran.err


def test_an_open_console_is_refused_where_people_are_configured(mailer, place):
    with (place / "mailer.toml").open("a") as file:
        file.write('[web]\ntrusted_header = "X-User"\ntrusted_proxies = ["10.0.0.0/8"]\n')
    ran = mailer("web", "--open-console")
    assert ran.code == 1
    assert "who may see the console" in ran.err


@pytest.mark.parametrize(("options", "status"), [([], 404), (["--open-console"], 200)])
def test_it_serves_the_console_only_when_it_was_said(place, options, status):
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "mailer", "web", "--port", str(port), *options], cwd=place
    )
    try:
        assert eventually(lambda: _status(f"http://127.0.0.1:{port}/console/campaigns")) == status
        assert _status(f"http://127.0.0.1:{port}/healthz") == 200
    finally:
        server.terminate()
        server.wait(120)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_port_that_is_taken_is_one_line(mailer, host):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ran = mailer("web", "--host", host, "--port", port)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"mailer: cannot listen at {host}:{port}: Address already in use\n"


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("192.0.2.1", "192.0.2.1:8025: Cannot assign requested address\n"),
        ("2001:db8::1", "[2001:db8::1]:8025: "),
        ("no-such-host.invalid", "no-such-host.invalid:8025: "),
        ("x" * 70, f"{'x' * 70}:8025: no name of a host\n"),
    ],
)
def test_a_host_that_cannot_be_had_is_one_line(mailer, host, words):
    ran = mailer("web", "--host", host, "--port", "8025")
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert ran.err.startswith(f"mailer: cannot listen at {words}")


def test_it_says_where_it_listens_when_it_does(place):
    server = subprocess.Popen(
        [sys.executable, "-m", "mailer", "web", "--port", "0", "--open-console"],
        cwd=place,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        where = server.stdout.readline().removeprefix("listening on ").strip()
        assert _status(f"{where}/healthz") == 200
        assert _status(f"{where}/console/") == 200, "it leads to the campaigns"
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(120) == 0
        server.stdout.close()


def test_it_says_that_it_found_no_configuration_and_where(tmp_path):
    environment = {name: value for name, value in os.environ.items() if "MAILER_" not in name}
    server = subprocess.Popen(
        [sys.executable, "-m", "mailer", "web", "--port", "0"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        assert f"there is no mailer.toml in {tmp_path}: Redis" in server.stderr.readline()
    finally:
        server.kill()
        server.wait()
        server.stderr.close()


def _status(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status
    except HTTPError as exc:
        return exc.code
    except OSError:
        return None
