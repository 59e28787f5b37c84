"""docker-compose.yml keeps what it promises, as far as that can be seen without an engine."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from mailer.config import duration, load

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
