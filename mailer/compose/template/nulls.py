"""What a field without a value is to a template: false, equal to none, and never written out.

``null`` in JSON, ``None`` in Python, NaN from a data frame: written out, each would be a word that nobody
meant ("Dear None"). A `Null` stands in its place, which Jinja takes for undefined:
``{{ first or "friend" }}`` and ``{{ first|default("friend") }}`` write the other word, and
``{{ first }}`` is an error that names the field.
"""

from collections.abc import Mapping
from typing import Any, Final, NoReturn

import jinja2

# Values of exactly these types are not null and hold no null: a row of them is not looked at closer.
_PLAIN: Final = frozenset({str, int, bool})
_MISSING_TYPES: Final = frozenset({"NAType", "NaTType"})


class Null(jinja2.StrictUndefined):
    """The value of the field *name*, which has none."""

    __slots__ = ()

    def __init__(self, name: str) -> None:
        super().__init__(hint=f"{name!r} has no value (it is null)", name=name)

    def __bool__(self) -> bool:  # type: ignore[override] # theirs never returns
        return False

    def __eq__(self, other: object) -> bool:  # type: ignore[override] # theirs never returns
        return other is None or isinstance(other, Null)

    def __ne__(self, other: object) -> bool:  # type: ignore[override] # theirs never returns
        return not self == other

    __hash__ = None  # type: ignore[assignment]

    # The filters int and float take a TypeError for "no number", and return their default.
    def __int__(self) -> NoReturn:
        raise TypeError(self._undefined_message)

    __float__ = __int__


def is_null(value: object) -> bool:
    """Do the test ``is none``."""
    return value is None or isinstance(value, Null)


def refused(value: Any) -> Any:
    """Return *value*, which is about to be put out, unless it is none."""
    if value is None:
        raise jinja2.UndefinedError("a value that is put out is none")
    return value


def without_nulls(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return *fields* with a `Null` for each value that is none, at any depth."""
    if _PLAIN.issuperset(map(type, fields.values())):
        return fields
    return {name: _known(value, str(name)) for name, value in fields.items()}


def marks(fields: Mapping[str, Any]) -> Mapping[str, bool]:
    """Return a variable that no template can name; its name tells which fields are null.

    So rows with other nulls have recordings of their own: ``is defined`` is not recorded as a guard.
    """
    nulls = [name for name, value in fields.items() if isinstance(value, Null)]
    return {f"without a value: {nulls!r}": True} if nulls else {}


def _known(value: Any, name: str) -> Any:
    if type(value) in _PLAIN:
        return value
    if _is_missing(value):
        return Null(name)
    if type(value) is dict:
        return {key: _known(inner, f"{name}.{key}") for key, inner in value.items()}
    if type(value) in {list, tuple}:
        return type(value)(_known(inner, f"{name}[{at}]") for at, inner in enumerate(value))
    return value


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in _MISSING_TYPES:
        return True
    try:
        return isinstance(value, float) and value != value  # noqa: PLR0124 - NaN alone is not itself
    except (TypeError, ValueError):
        return False


def for_json(value: object) -> None:
    """Return None for a `Null`, which the filter tojson then writes as ``null``; raise for others."""
    if not isinstance(value, Null):
        raise TypeError(f"a {type(value).__name__} cannot be written as JSON")
