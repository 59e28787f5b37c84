"""The password of Redis is kept out of the address, and a real Redis takes it."""

import sys

import pytest

from mailer.config import load
from mailer.errors import ConfigError
from mailer.store.connection import connect
from tests.servers.redis_servers import redis_process

PASSWORD = "a:b/c#d@e%f"


def place(kind, tmp_path, monkeypatch):
    """Put the password where *kind* says; returns the value of the key."""
    if kind == "env":
        monkeypatch.setenv("SHOP_REDIS", PASSWORD)
        return '"SHOP_REDIS"'
    file = tmp_path / "redis.password"
    file.write_text(PASSWORD + "\n")
    file.chmod(0o600)
    if kind == "file":
        return f'"{file}"'
    return f'["{sys.executable}", "-c", "print(open({str(file)!r}).read().strip())"]'


@pytest.mark.redis_server
@pytest.mark.parametrize("kind", ["env", "file", "command"])
@pytest.mark.parametrize("login", ["", "default:wrong@"])
def test_a_password_beside_the_address_is_taken_and_wins(tmp_path, monkeypatch, kind, login):
    value = place(kind, tmp_path, monkeypatch)
    with redis_process(
        tmp_path / "redis", f'requirepass "{PASSWORD}"', password=PASSWORD
    ) as server:
        toml = tmp_path / "mailer.toml"
        toml.write_text(
            f'redis = "redis://{login}127.0.0.1:{server.port}/0"\nredis_password_{kind} = {value}\n'
        )
        settings = load(toml, {})
        client = connect(settings.redis_url)
        assert client.ping()
        client.close()
        assert PASSWORD not in repr(settings)


def test_a_password_that_is_not_there_is_named_by_its_place(tmp_path, monkeypatch):
    monkeypatch.delenv("SHOP_REDIS", raising=False)
    toml = tmp_path / "mailer.toml"
    toml.write_text('redis_password_env = "SHOP_REDIS"\n')
    with pytest.raises(ConfigError, match="SHOP_REDIS"):
        _ = load(toml, {}).redis_url
