"""Why a message came back, in one word: for bounces, whose diagnostic text is a server's reply.

The rules that judge live replies judge these texts too, so that one set of words serves both. What a
bounce asks for beyond an action lies in `reasons.toml` beside this file. Pure, and never raises for
what a server wrote.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from mailer.smtp.replies.actions import Action, Reason
from mailer.smtp.reply import MAX_TEXT, Reply, Stage, split_enhanced
from mailer.smtp.rules import Rule, is_among, pattern, rule_for, strings

__all__ = ["Diagnosis", "Reason", "diagnose"]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a diagnostic text says: the *reason*, and the live *action* and *rule* behind it."""

    reason: Reason
    action: Action
    rule: str


def diagnose(  # noqa: PLR0913  # what a bounce may know of the reply, each part optional
    text: str,
    *,
    code: int = 0,
    enhanced: str | None = None,
    stage: Stage = Stage.ANY,
    provider: str | None = None,
    extra: Sequence[Rule] = (),
) -> Diagnosis:
    """Judge the diagnostic *text* of a bounce.

    *code* is the reply code, 0 where it is not known: it is then looked for in *text* (``550 …``,
    ``host mx.example said: 550 …``), and taken from the class of *enhanced* otherwise. *stage* is which
    command the reply answered, if known. *extra* are the user's rules and come first.
    """
    found, text = _reply_in(text[: 2 * MAX_TEXT])
    code = code or found
    own, text = split_enhanced(text)
    # What the server wrote itself says more than the status that some other program made of it.
    enhanced = own or enhanced
    if not 200 <= code < 600:
        code = 450 if (enhanced or "5")[0] == "4" else 550
    reply = Reply(code, enhanced, (_AGAIN.sub("", text)[:MAX_TEXT],))
    rule, action, name = rule_for(stage, reply, provider, extra)
    first = (rule and rule.reason) or action.meaning.bounce
    for entry in _entries():
        if entry.matches(first, reply):
            return Diagnosis(entry.reason, action, name)
    return Diagnosis(first, action, name)


@dataclass(frozen=True, slots=True)
class _Entry:
    reason: Reason
    instead_of: frozenset[Reason]
    enhanced: tuple[str, ...]
    text: re.Pattern[str] | None
    unless: re.Pattern[str] | None

    def matches(self, first: Reason, reply: Reply) -> bool:
        return (
            (not self.instead_of or first in self.instead_of)
            and (not self.enhanced or is_among(reply.enhanced, self.enhanced))
            and (self.text is None or self.text.search(reply.text) is not None)
            and (self.unless is None or self.unless.search(reply.text) is None)
        )


_REPLY = re.compile(r"(?:\A|\bsa(?:id|ys): )\W{0,3}([245][0-9]{2})(?=[ -])\W{0,3}", re.IGNORECASE)
# A reply of several lines repeats its codes in each: `550-5.7.1 first 550 5.7.1 second`.
_AGAIN = re.compile(r"\b[245]\d\d[- ]([245]\.\d{1,3}\.\d{1,3} )?")


def _reply_in(text: str) -> tuple[int, str]:
    """The reply that *text* quotes: its code, 0 where there is none, and what follows it."""
    match = _REPLY.search(text)
    return (int(match[1]), text[match.end() :]) if match else (0, text)


@cache
def _entries() -> tuple[_Entry, ...]:
    book = tomllib.loads(files("mailer.smtp.replies").joinpath("reasons.toml").read_text("utf-8"))
    return tuple(_entry(table) for table in book["reason"])


def _entry(table: Mapping[str, object]) -> _Entry:
    return _Entry(
        reason=Reason(str(table["reason"])),
        instead_of=frozenset(map(Reason, strings(table, "instead_of"))),
        enhanced=strings(table, "enhanced"),
        text=pattern(table, "text"),
        unless=pattern(table, "unless"),
    )
