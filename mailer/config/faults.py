"""What is wrong with the configuration, one line a fault: file, key, reason, what to do."""

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from mailer.config.settings import RetryTable, Settings
from mailer.mail.policy import Retry

Location = tuple[str | int, ...]
Table = TypeVar("Table", bound=BaseModel)

_SECRETIVE = ("password", "secret", "token", "url", "redis", "broker")
_PLAIN = {
    "missing": "is required",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be a string",
    "path_type": "must be a path",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "tuple_type": "must be a list",
    "finite_number": "must be a finite number",
}
_BOUNDS = {
    "greater_than": ("gt", ">"),
    "greater_than_equal": ("ge", "≥"),
    "less_than": ("lt", "<"),
    "less_than_equal": ("le", "≤"),
}


def checked(table: type[Table], values: Mapping[str, object], place: str) -> Table:
    """*values* read as *table*, as if they stood in the configuration.

    Raises `ValueError` with one line for each fault, which begins with *place*.
    """
    try:
        return table.model_validate(dict(values))
    except ValidationError as exc:
        raise ValueError("\n".join(describe(exc, place, {}))) from exc


def describe(
    error: ValidationError,
    place: str,
    origins: Mapping[tuple[str, ...], str],
    besides: Collection[Location] = (),
) -> list[str]:
    """Each fault of *error* as one line that begins with *place* and key, or with its variable.

    Locations in *besides* were named before.
    """
    lines = []
    for fault in error.errors(include_url=False):
        if fault["loc"] in besides:
            continue
        where = tuple(part for part in fault["loc"] if not isinstance(part, int))
        variable = origins.get(tuple(str(part) for part in where))
        key = ".".join(str(part) for part in fault["loc"])
        start = variable or (f"{place}: {key}" if key else place)
        lines.append(f"{start}: {_reason(fault, fault['loc'])}")
    return lines


def _reason(fault: Mapping[str, Any], loc: Location) -> str:
    kind, context, value = fault["type"], fault.get("ctx", {}), fault.get("input")
    if kind == "value_error":
        return str(context["error"])
    if kind == "missing":
        return _PLAIN[kind]
    if kind == "extra_forbidden":
        return _unknown(loc)
    if kind == "literal_error":
        text = f"must be {context['expected']}"
    elif kind in _BOUNDS:
        name, sign = _BOUNDS[kind]
        text = f"must be {sign} {context[name]:.15g}"
    elif kind == "string_pattern_mismatch":
        text = f"must match {context['pattern']}"
    else:
        text = _PLAIN.get(kind, fault["msg"])
    return text + _got(loc, value)


def _got(loc: Location, value: object) -> str:
    """What stands there now; nothing where it might be a secret or a whole table."""
    secretive = any(word in str(part) for part in loc for word in _SECRETIVE)
    if secretive or not isinstance(value, str | int | float):
        return ""
    try:
        shown = str(value).lower() if isinstance(value, bool) else repr(value)
    except ValueError:  # an integer with more digits than Python writes
        return ""
    return f", got {shown}" if len(shown) <= 60 else ""


def _unknown(loc: Location) -> str:
    key = str(loc[-1])
    fields = _model(loc).model_fields
    if f"{key}_env" in fields:
        return f"a secret may not stand here; use {key}_env, {key}_file or {key}_command"
    known = [name for name in fields if name != "name"]
    near = difflib.get_close_matches(key, known, 1)
    return "unknown key; " + (
        f"did you mean {near[0]!r}?" if near else f"known are {', '.join(_short(known))}"
    )


def _short(names: Iterable[str]) -> list[str]:
    every = list(names)
    return every if len(every) <= 12 else [*every[:12], "… (docs/configuration.md)"]


def _model(loc: Location) -> type[BaseModel]:
    """The table in which the unknown key at *loc* stands."""
    model: type[BaseModel] = Settings
    for part in loc[:-1]:
        field = model.model_fields.get(str(part))
        model = next(_kinds(field.annotation), model) if field else model
    return model


def _kinds(annotation: Any) -> Iterator[type[BaseModel]]:
    """The tables that an annotation speaks of: ``Web``, ``Dkim | None``, ``dict[str, Account]``."""
    if annotation is Retry:
        yield RetryTable
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _kinds(part)
