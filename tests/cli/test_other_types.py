"""A key that holds another type than ours: what it belongs to stands still, and the key is named."""

from time import time

import pytest

from mailer.errors import ForeignRecordError
from mailer.store.reach.foreign import misplaced, types
from tests.cli.test_junk import COMMANDS, duties, world

__all__ = ["world"]

FILLED = {
    "<c>": "spring",
    "<n>": "1",
    "<id>": "d1",
    "<a>": "primary",
    "<s>": "account:primary",
    "<queue>": "bulk",
    "<event>": "campaign:spring",
    "<subject>": "account:primary",
    "<name>": "sweep",
    "<k>": "hook",
    "<p>": "junk",
    "<fp>": "12345678",
    "<d>": "1",
    "<t>": "1",
    "<bucket>": "0",
}
TYPES = types()
SOME = ("mailer:campaign:<c>", "mailer:counts:<c>", "mailer:account:<a>", "mailer:timers")
SHORT = ("status", "accounts list", "dead list", "failures spring")
OF_MANY = ("<c>", "<a>", "<id>")
"""Whose keys belong to one of many: a duty goes on with the others."""


def filled(pattern):
    for name, value in FILLED.items():
        pattern = pattern.replace(name, value)
    return pattern


def put(client, pattern):
    key = filled(pattern)
    client.delete(key)
    if TYPES[pattern] == "string":
        client.hset(key, "junk", "junk")
    else:
        client.set(key, "junk")
    return key


def failures(mailer, place, client, pattern, commands):
    """What does not go on although it could, and what is not said as it is."""
    key = put(client, pattern)
    for duty in duties(place, client):
        try:
            duty(time())
        except ForeignRecordError:
            if any(one in pattern for one in OF_MANY):
                yield f"{duty.__qualname__} ends for all because of one"
        except Exception as error:  # noqa: BLE001 - whatever it is
            yield f"{duty.__qualname__}: {error!r}"
    for line in commands:
        put(client, pattern)  # a duty or a command may have taken it away
        ran = mailer(*line.split())
        if ran.code not in (0, 1):
            yield f"{line}: {ran.code}, {ran.err}"
        if "WRONGTYPE" in ran.err or (ran.code == 1 and "where mailer keeps" in ran.err) != (
            ran.code == 1 and key in ran.err
        ):
            yield f"{line} does not say which key: {ran.err}"


@pytest.mark.parametrize("pattern", SOME)
def test_a_key_of_another_type_ends_nothing_else(mailer, place, world, pattern):
    assert list(failures(mailer, place, world, pattern, SHORT)) == []


@pytest.mark.long
@pytest.mark.parametrize("pattern", TYPES)
def test_no_key_of_another_type_ends_anything_else(mailer, place, world, pattern):
    assert list(failures(mailer, place, world, pattern, COMMANDS)) == []


def test_of_two_campaigns_the_one_that_can_be_read_is_shown(mailer, world):
    put(world, "mailer:campaign:<c>")
    world.hset("mailer:campaign:autumn", "created", "1")
    world.hset("mailer:counts:autumn", "a", "2")
    world.zadd("mailer:campaigns", {"autumn": 2})

    ran = mailer("status")

    assert ran.code == 0
    assert "autumn" in ran.out
    assert "spring" not in ran.out


def test_all_that_mailer_writes_is_of_the_type_that_the_table_says(world):
    assert list(misplaced(world)) == []
