"""docker-compose.yml keeps what it promises, as far as that can be seen without an engine."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import redis
import yaml

from mailer.config import duration, load
from mailer.local.binary import server_binary
from tests.conftest import free_port
from tests.servers.scripted import ScriptedServer
from tests.servers.waiting import eventually

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def test_is_valid_by_the_compose_specification(compose):
    schema = json.loads((ROOT / "tests/schema/compose-spec.json").read_text())
    jsonschema.Draft7Validator(schema).validate(compose)


def test_has_redis_worker_flower_and_a_mail_catcher(compose):
    assert set(compose["services"]) == {"redis", "worker", "flower", "mail"}


def test_redis_appends_every_write_and_never_evicts(compose):
    words = compose["services"]["redis"]["command"]
    assert words[words.index("--appendonly") + 1] == "yes"
    assert words[words.index("--maxmemory-policy") + 1] == "noeviction"


@pytest.mark.parametrize("service", ["redis", "worker", "flower", "mail"])
def test_every_service_is_checked_and_runs_as_nobody_special(compose, service):
    described = compose["services"][service]
    assert described["healthcheck"]["test"]
    assert described["user"] not in ("root", "0", "0:0")


def test_nothing_is_published_beyond_this_machine(compose):
    for service in compose["services"].values():
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:")


def test_ours_come_from_the_one_dockerfile(compose):
    for name in ("worker", "flower"):
        assert compose["services"][name]["build"] == "."
    assert (ROOT / "Dockerfile").is_file()


def test_worker_has_longer_to_stop_than_it_takes(compose):
    grace = duration(compose["services"]["worker"]["stop_grace_period"])
    assert grace > load(environ={}).worker.grace


def test_its_environment_is_a_configuration_that_loads(compose):
    settings = load(environ=compose["services"]["worker"]["environment"], secrets=True)
    assert settings.account("primary").host == "mail"
    assert settings.redis == "redis://redis:6379/0"


# There is no engine here: each command and health check is run directly instead.


@contextlib.contextmanager
def running(words, tmp_path, environ=None):
    with (tmp_path / "log").open("ab") as log:
        process = subprocess.Popen(
            words, cwd=tmp_path, env=os.environ | (environ or {}), stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(120)


def here(words):
    """*words* with the programs of this environment instead of the image's."""
    programs = {"celery": [sys.executable, "-m", "celery"], "python": [sys.executable]}
    return [*programs.get(words[0], words[:1]), *words[1:]]


def answers(words, environ=None):
    done = subprocess.run(
        words, env=os.environ | (environ or {}), capture_output=True, timeout=180, check=False
    )
    return done.returncode == 0


@pytest.fixture
def server(compose, tmp_path):
    """Redis as the file starts it, on a port of its own."""
    port = free_port()
    words = [str(server_binary()), *compose["services"]["redis"]["command"][1:]]
    with running([*words, "--port", str(port), "--dir", str(tmp_path)], tmp_path):
        with redis.Redis(port=port) as client:

            def pongs():
                with contextlib.suppress(redis.ConnectionError):
                    return client.ping()

            eventually(pongs)
        yield f"redis://127.0.0.1:{port}/0"


def test_redis_starts_as_written_and_persists(server, tmp_path):
    with redis.Redis.from_url(server) as client:
        client.set("kept", "yes")
    assert list(tmp_path.glob("appendonlydir/*.aof"))


def test_worker_starts_as_written_and_its_health_check_finds_it(compose, server, tmp_path):
    service = compose["services"]["worker"]
    environ = service["environment"] | {"MAILER_REDIS": server, "HOSTNAME": socket.gethostname()}
    kind, check = service["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    assert check.startswith("celery ")
    check = f"{sys.executable} -m {check}".replace("$$", "$")
    with running(here(service["command"]), tmp_path, environ):
        eventually(lambda: answers(["sh", "-c", check], environ))


def test_the_commands_at_its_head_send_a_campaign(compose, server, tmp_path):
    """As pasted, with the services' own commands and environment instead of containers."""
    head = (ROOT / "docker-compose.yml").read_text().split("x-mailer:")[0]
    lines = [line.removeprefix("#   ") for line in head.splitlines() if line.startswith("#   ")]
    password, _up, *sending = "\n".join(lines).replace("\\\n", "").splitlines()
    subprocess.run(["sh", "-c", password], cwd=tmp_path, check=True)
    assert re.fullmatch(r"FLOWER_BASIC_AUTH=mailer:[0-9a-f]{32}\n", (tmp_path / ".env").read_text())

    service = compose["services"]["worker"]
    (command,) = sending
    _, _, words = command.partition("docker compose run --rm worker mailer ")
    assert words
    (mount,) = service["volumes"]
    assert mount.startswith("./templates:")
    for folder in ("templates", "examples"):
        shutil.copytree(ROOT / folder, tmp_path / folder, symlinks=True)
    recipients = tmp_path / "examples" / "recipients.csv"
    some = recipients.read_text().splitlines(keepends=True)[:101]
    recipients.write_text("".join(some))
    with ScriptedServer() as mail:
        environ = service["environment"] | {
            "MAILER_REDIS": server,
            "MAILER_ACCOUNTS__PRIMARY__URL": f"smtp://127.0.0.1:{mail.port}",
        }
        with running(here(service["command"]), tmp_path, environ):
            done = subprocess.run(
                ["sh", "-c", f"{sys.executable} -m mailer {words}"],
                cwd=tmp_path,
                env=os.environ | environ,
                capture_output=True,
                text=True,
                check=False,
                timeout=180,
            )
            assert done.returncode == 0, done.stderr
            queued = int(re.search(r"(\d+) queued", done.stdout)[1])
            assert queued > 90, done.stdout
            mail.wait_for(queued)
            assert len(mail.kept) == queued


def test_flower_starts_as_written_and_its_health_check_finds_it(compose, server, tmp_path):
    service = compose["services"]["flower"]
    environ = service["environment"] | {"MAILER_REDIS": server, "FLOWER_BASIC_AUTH": "a:b"}
    # An empty one would lock everybody out.
    assert re.fullmatch(
        r"\$\{FLOWER_BASIC_AUTH:\?.+\}", service["environment"]["FLOWER_BASIC_AUTH"]
    )
    port = str(free_port())
    words = [
        word.replace("5555", port).replace("/srv/flower", str(tmp_path))
        for word in here(service["command"])
    ]
    kind, *check = service["healthcheck"]["test"]
    assert kind == "CMD"
    check = [word.replace("5555", port) for word in here(check)]
    with running(words, tmp_path, environ):
        eventually(lambda: answers(check))
