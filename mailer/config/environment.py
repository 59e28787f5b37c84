"""How environment variables lie over the file.

`MAILER_ACCOUNTS__PRIMARY__URL` is the `url` of `[accounts.primary]`.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from mailer.config.units import FromEnvironment, parsed

PREFIX = "MAILER_"
CONFIG = "MAILER_CONFIG"
_OWN = frozenset({CONFIG})

Table = dict[str, Any]
Origins = dict[tuple[str, ...], str]


def overlay(
    table: Table, environ: Mapping[str, str], known: Iterable[str]
) -> tuple[Origins, list[str]]:
    """Lay the variables of *environ* over *table*, in place.

    Gives the variable that each overridden key came from, and the faults: a variable that is nearly
    a setting's name (*known* are the top-level keys) is taken for a slip, any other is not ours.
    """
    origins: Origins = {}
    faults: list[str] = []
    keys = tuple(known)
    secrets = set(_names_of_secrets(table))
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or variable in _OWN or variable in secrets:
            continue
        path = variable.removeprefix(PREFIX).lower().split("__")
        if path[0] in keys:
            where = _put(table, path, FromEnvironment(environ[variable]))
            origins[where] = variable
        elif near := difflib.get_close_matches(path[0], keys, 1, 0.8):
            guess = "__".join([near[0], *path[1:]]).upper()
            faults.append(f"{variable}: unknown setting; did you mean {PREFIX}{guess}?")
    return origins, faults


def _put(table: Table, path: list[str], value: FromEnvironment) -> tuple[str, ...]:
    """Set *value* at *path*; its parts match the file's names in any case, ``_`` for ``-``."""
    where: list[str] = []
    for part in path[:-1]:
        name = _matching(table, part)
        where.append(name)
        inner = table.get(name)
        if not isinstance(inner, dict):
            inner = table[name] = {}
        table = inner
    name = _matching(table, path[-1])
    whole = parsed(value) if value.startswith("{") else value
    table[name] = whole if isinstance(whole, dict) else value
    return (*where, name)


def _matching(table: Table, part: str) -> str:
    def plain(name: str) -> str:
        return name.lower().replace("-", "_").replace(".", "_")

    return next((name for name in table if plain(name) == plain(part)), part)


def _names_of_secrets(table: Table) -> Iterable[str]:
    """The variables that ``*_env`` keys name: they hold secrets, not settings."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _names_of_secrets(value)
        elif key.endswith("_env") and isinstance(value, str):
            yield value
