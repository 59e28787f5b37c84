"""Why a message came back: the words of diagnostics, as data."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any, Final

from mailer.feedback.patterns import Patterns
from mailer.feedback.report import Reason

MAX_TEXT: Final = 1000
"""How much of a diagnostic is looked at: what matters comes first, and patterns take time."""

_SPACE: Final = re.compile(r"\s+")
_GATEWAY: Final = re.compile(r"\d\.\d\.\d - [A-Z][a-z ]{1,40} (?=\d{3}-')")
"""What an IronPort (and SES) puts before the remote server's words: its own guess."""
_COMMAND: Final = re.compile(
    r"(?:after|following|reply to|like our|response to|answered|sent:|command:?|>>>|-->|SMTP:"
    r"|\bfor(?= (?:MAIL|RCPT|DATA|EHLO|HELO)[^.\n]{0,8} command))\s{0,3}"
    r"(?:the )?(end of data|MAIL|RCPT|DATA|EHLO|HELO|initial connection|connect|message body"
    r"|pipelined|sending data block)",
    re.IGNORECASE,
)
_COMMANDS: Final = {
    "end of data": "DATA", "data": "DATA", "message body": "DATA", "sending data block": "DATA",
    "helo": "EHLO", "initial connection": "CONNECT", "connect": "CONNECT", "pipelined": "MAIL",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Words:
    reason: Reason
    text: Patterns
    unless: Patterns


@dataclass(frozen=True, slots=True)
class _Codes:
    reason: Reason
    status: tuple[str, ...]
    code: tuple[str, ...]
    command: tuple[str, ...]

    def match(self, status: str, code: str, command: str) -> bool:
        return (
            any(fnmatchcase(status, one) for one in self.status)
            or (bool(code) and code.startswith(self.code or ("-",)))
            or command in self.command
        )


def reason_in_words(text: str) -> Reason | None:
    """The reason that *text* names, or None when it names none."""
    text = _SPACE.sub(" ", text[: MAX_TEXT * 2])[:MAX_TEXT]
    for words in _words():
        if words.text.search(text) and not words.unless.search(text):
            return words.reason
    return None


def without_gateway(text: str) -> str:
    """*text* without what a gateway guessed in front of the remote server's words."""
    return _GATEWAY.sub("", text, count=1)


def reason_in_codes(status: str | None, code: int | None, command: str) -> Reason | None:
    """The reason that *status*, *code* and the *command* that was answered name."""
    for rule in _codes():
        if rule.match(status or "", str(code or ""), command):
            return rule.reason
    return None


def command_in(text: str) -> str:
    """Which SMTP command was answered, if *text* says so: MAIL, RCPT, DATA, EHLO, CONNECT or empty."""
    found = _COMMAND.search(text[: MAX_TEXT * 2])
    command = found[1].lower() if found else ""
    return _COMMANDS.get(command, command.upper())


@cache
def _book() -> Mapping[str, Any]:
    return tomllib.loads(files("mailer.feedback").joinpath("reasons.toml").read_text("utf-8"))


@cache
def _words() -> tuple[_Words, ...]:
    return tuple(
        _Words(Reason(rule["reason"]), Patterns(rule["text"]), Patterns(rule.get("unless", ())))
        for rule in _book()["rules"]
    )


@cache
def _codes() -> tuple[_Codes, ...]:
    return tuple(
        _Codes(
            Reason(rule["reason"]),
            *(tuple(rule.get(key, ())) for key in ("status", "code", "command")),
        )
        for rule in _book()["codes"]
    )
