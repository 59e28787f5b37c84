"""Whether a Redis may hold the ledger: one that evicts keys may not; one that forgets is warned of."""

from collections.abc import Mapping
from typing import Any

import redis

from mailer.errors import ConfigError
from mailer.store.client import Client
from mailer.store.connection import connect


def refuse_eviction(client: Client) -> None:
    """Raise `ConfigError` where keys may be evicted; nothing where Redis does not say, or is away."""
    found = _info(client, "memory")
    policy = str(found.get("maxmemory_policy", "noeviction"))
    if int(found.get("maxmemory", 0)) and policy != "noeviction":
        raise ConfigError(
            f"redis: maxmemory-policy is {policy}: recipients would be lost in silence when memory "
            "runs short; set it to noeviction"
        )


def look(url: str) -> str | None:
    """Refuse the Redis at *url* as `refuse_eviction` does; returns a `warning`, or None."""
    client = connect(url)
    try:
        refuse_eviction(client)
        return warning(client)
    finally:
        client.close()


def warning(client: Client) -> str | None:
    """What is to be said of a Redis that forgets everything when it is started again."""
    found = _info(client, "persistence")
    if str(found.get("aof_enabled", "1")) != "0" or _saves(client):
        return None
    return (
        "Redis keeps nothing on disk (appendonly no, no snapshots): when it is started again, it has "
        "forgotten who got what, and they may get it again; set appendonly yes"
    )


def _info(client: Client, section: str) -> Mapping[str, Any]:
    try:
        return client.info(section)
    except redis.RedisError:  # no right to ask, or away: what works on it will say so
        return {}


def _saves(client: Client) -> bool:
    """Whether snapshots are made; taken for granted where Redis does not say."""
    try:
        return client.config_get("save").get("save") != ""
    except redis.RedisError:
        return True
