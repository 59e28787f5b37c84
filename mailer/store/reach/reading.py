"""Values as they lie in Redis, read so that one that nobody can read ends nothing: it is named, once."""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mailer.store.reach.foreign import is_foreign

log = logging.getLogger(__name__)

_NAMED: Final[set[str]] = set()


def number(raw: bytes | None, place: str, otherwise: float = 0.0) -> float:
    """The number *raw*, found at the key *place*; *otherwise* where there is none."""
    try:
        return float(raw or otherwise)
    except ValueError:
        passed_over(place)
        return otherwise


def whole(raw: bytes | None, place: str) -> int:
    """The whole number *raw*; 0 where there is none."""
    return int(number(raw, place))


def text(raw: bytes) -> str:
    """The text *raw*; what is no UTF-8 in it is replaced."""
    return raw.decode(errors="replace")


def wholes(counted: Mapping[bytes, bytes], place: str) -> dict[str, int]:
    """The hash *counted* of whole numbers."""
    return {text(name): whole(number, place) for name, number in counted.items()}


def fields(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """A hash out of the list of fields and values that Redis writes it as."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def table(raw: bytes | None, place: str) -> dict[str, Any]:
    """The JSON object *raw*; an empty one where there is none."""
    found = value(raw, place)
    return found if isinstance(found, dict) else {}


def value(raw: bytes | None, place: str) -> object:
    """The JSON value *raw*; None where there is none."""
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        passed_over(place)
        return None


def of_type(row: Any, otherwise: Any, place: str) -> Any:
    """The reply *row* of a pipeline; *otherwise* where *place* holds another type. Raises others."""
    if not isinstance(row, Exception):
        return row
    if not is_foreign(row):
        raise row
    passed_over(place)
    return otherwise


def passed_over(place: str) -> None:
    """Say, once in a process, that *place* holds what cannot be read."""
    if place not in _NAMED:
        _NAMED.add(place)
        log.warning("%s holds what cannot be read here: it is passed over", place)
