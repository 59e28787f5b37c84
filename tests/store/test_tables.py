"""What the Lua scripts name stands in tables: keys, a batch's fields, its states and their order."""

import re
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import pytest

from mailer.store import batch_states, keys
from mailer.store.batch_states import FOLLOWS, BatchState

SCRIPTS = {
    file.name: re.sub(r"(?m)--.*$", "", file.read_text("utf-8"))
    for file in files("mailer.store").iterdir()
    if file.name.endswith(".lua")
}
KEYS = {
    re.sub(r"<.*", "", name).rstrip(":")
    for name in re.findall(r"(?m)^mailer:(\S+)", keys.__doc__ or "")
}
FIELDS = set(
    re.findall(r"(?m)^([a-z]+) {2,}\S", (batch_states.__doc__ or "").partition("Field of")[2])
)


def calls(text: str) -> list[list[str]]:
    """The arguments of each ``redis.call``, as they are written."""
    found = []
    for match in re.finditer(r"redis\.call\(", text):
        depth, start, arguments = 1, match.end(), []
        for at in range(match.end(), len(text)):
            depth += {"(": 1, ")": -1}.get(text[at], 0)
            if depth == 0 or (depth == 1 and text[at] == ","):
                arguments.append(text[start:at].strip())
                start = at + 1
            if depth == 0:
                break
        found.append(arguments)
    return found


def fields_of_batches(text: str) -> set[str]:
    """The literal fields of hashes of batches that a script reads or writes."""
    fields: set[str] = set()
    variables = re.findall(r"\b(\w+)(?:, \w+)* = PREFIX \.\. 'batch:' \.\. ", text)
    for command, key, *rest in (one for one in calls(text) if len(one) > 1):
        name = command.strip("'")
        if name.startswith("H") and (key in variables or "'batch:'" in key):
            named = rest[::2] if name == "HSET" else rest[:1] if name.startswith("HINCR") else rest
            fields |= {field.strip("'") for field in named if field.startswith("'")}
    return fields


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_each_key_of_a_script_stands_in_the_table(name: str) -> None:
    named = re.findall(r"PREFIX \.\. '([a-z:]+?):?'", SCRIPTS[name])

    assert [key for key in named if key not in KEYS and key.partition(":")[0] not in KEYS] == []


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_each_field_of_a_batch_stands_in_the_table(name: str) -> None:
    assert fields_of_batches(SCRIPTS[name]) <= FIELDS


def test_each_command_of_a_script_is_tried_before_somebody_relies_on_it() -> None:
    """Before Redis 7.0 a right that is missing ends a script in its middle, and what it wrote stays."""
    used = set(re.findall(r"redis\.p?call\(([^,)]*)", "\n".join(SCRIPTS.values())))
    assert [one for one in used if not re.fullmatch("'[A-Z]+'", one)] == [], "asked for by name"
    assert used == {one[0] for one in calls(SCRIPTS["serves.lua"])}


def test_each_field_of_the_table_is_used_by_a_script() -> None:
    used = {field for text in SCRIPTS.values() for field in fields_of_batches(text)}

    assert FIELDS - used == set()


def test_python_and_lua_agree_on_the_states_of_a_batch() -> None:
    table = SCRIPTS["prelude.lua"].partition("local FOLLOWS = {")[2].partition("\n}")[0]
    rows = re.findall(r"(\w+) = '([^']*)'", table)

    assert all(row.startswith(" ") and row.endswith(" ") for _, row in rows)
    assert {name: set(row.split()) for name, row in rows} == {
        str(state): {str(after) for after in following} for state, following in FOLLOWS.items()
    }


def test_every_state_can_be_entered_and_left() -> None:
    assert set(FOLLOWS) == set(BatchState)
    assert set().union(*FOLLOWS.values()) == set(BatchState)
    assert all(following - {state} for state, following in FOLLOWS.items())


def test_only_one_place_moves_a_batch_a_recipient_or_creates_a_batch() -> None:
    whole = "\n".join(SCRIPTS.values())
    written = [
        arguments
        for arguments in calls(whole)
        if arguments[0] == "'HSET'" and ("'state'" in arguments[2:] or "'positions'" in arguments)
    ]
    of_batches = [one for one in written if one[1] == "key" and "campaign" not in one[1]]

    assert len([one for one in of_batches if "'positions'" in one and "'batch'" not in one]) == 1
    assert whole.count("'SETRANGE', roll.key") == 2  # `move`, and `note` for neighbours
    new = len(re.findall(r"'SETRANGE', PREFIX .. 'status:'", whole))
    assert new == 2  # … and `enqueue` and `single` for new ones


def test_scripts_follow_the_module_that_calls_them() -> None:
    """No script lies there that nobody loads."""
    loaded = {"prelude.lua"}
    for file in Path(str(files("mailer.store"))).rglob("*.py"):
        for call in re.findall(r"load(?:_many)?\(client, ([^)]*)\)", file.read_text("utf-8")):
            loaded |= {f"{name}.lua" for name in re.findall(r'"(\w+)"', call)}

    assert set(SCRIPTS) - loaded == set()


def test_keys_of_the_table_are_sorted_into_what_is_for_good_and_what_is_not() -> None:
    rows = re.findall(r"(?m)^mailer:(\S+)\s+(\w+)\s+(\S.*)$", keys.__doc__ or "")

    assert {kind for _, kind, _ in rows} <= {"hash", "zset", "set", "string", "stream"}
    assert len(rows) == len({name for name, _, _ in rows})
    assert all(before != after for before, after in pairwise(name for name, _, _ in rows))
