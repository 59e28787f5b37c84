"""`[feedback.policy]`: what is done about a mailbox of which something came back."""

import re
from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import BeforeValidator

from mailer.config.units import duration
from mailer.mail.barring.dropping import DAY, DEFAULT, NEVER, Dropping, Policy

_KNOWN: Final = (*DEFAULT, "server_trouble", "network", "unknown")
_RULE: Final = re.compile(
    r"(?:at once|after (?P<times>\d{1,9}) times?(?: over (?P<span>[^,]+))?)(?:, for (?P<lasts>.+))?"
)
_SHOWN: Final = '"never", "at once", "after 3 times over 14d, for 90d"'


def _table(value: object) -> object:
    if isinstance(value, Mapping):
        return value
    raise ValueError(f"must be a table of reasons with rules: {_SHOWN}")


def _policy(value: Mapping[str, object]) -> Policy:
    """The rules that *value* says over the defaults. Raises `ValueError` in words."""
    return {**DEFAULT, **{str(name): _rule(str(name), said) for name, said in value.items()}}


def _rule(name: str, said: object) -> Dropping | None:
    if name in NEVER:
        raise ValueError(f"{name} is about who sends or what is sent: nobody is dropped for it")
    if name == "unsubscribe":
        raise ValueError("unsubscribe is honoured at once, always")
    if name not in _KNOWN:
        raise ValueError(f"{name!r} is no reason; there are {', '.join(_KNOWN)}")
    text = str(said).strip().lower()
    if text == "never":
        return None
    found = _RULE.fullmatch(text)
    times = int(found["times"] or 1) if found else 0
    if not found or not times:
        raise ValueError(f"{name}: {said!r} is no rule; write {_SHOWN}")
    try:
        span, lasts = (duration(found[part] or 0) for part in ("span", "lasts"))
    except ValueError as exc:
        raise ValueError(f"{name}: {exc}") from None
    return Dropping(times, span, lasts, max(90 * DAY, 2 * span))


CheckedPolicy = Annotated[
    dict[str, Dropping | None], BeforeValidator(_policy), BeforeValidator(_table)
]
