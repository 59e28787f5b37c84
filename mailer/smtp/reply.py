"""What a server said: SMTP replies, read from bytes as they come.

A reply has three parts (RFC 5321 section 4.2, RFC 2034): the code as sent; the enhanced status code,
if there is one and its class agrees with the code; and the text. Several lines make one reply::

    250-smtp.example at your service
    250-SIZE 35882577
    250 PIPELINING

Servers vary it: some write a colon after the code, some repeat the enhanced code on every line, some put
it into brackets at the end. All of that is read here, and nowhere else.
"""

import re
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache

from mailer.errors import ReplySyntaxError

MAX_REPLY = 64 * 1024
"""The longest reply in octets, finished or not. A longer one is an attack or a fault, and ends the
session."""
MAX_TEXT = 1000
"""How many characters of a reply's text are kept, judged and shown. What matters stands at its
beginning."""

_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])|[:;] ?|(?=\Z))(.*)\Z", re.DOTALL)
_ENHANCED = re.compile(r"#?([245])\.(\d{1,3})\.(\d{1,3})(?=[\s:;,\]]|\Z)[:;,]?\s*")
_ENHANCED_AT_END = re.compile(r"\(#?([245])\.(\d{1,3})\.(\d{1,3})\)")


class Stage(Enum):
    """Which command a reply answers."""

    CONNECT = "connect"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    FINAL = "final"
    ANY = "any"

    @classmethod
    def named(cls, name: str) -> "Stage":
        """The stage of that name in any case; raise ValueError with the list of names."""
        for stage in cls:
            if stage.value.lower() == name.strip().lower():
                return stage
        names = " ".join(stage.value for stage in cls)
        raise ValueError(f"no stage is called {name!r}: one of {names}")


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: *code*, *enhanced* status code or None, and the text of its *lines*.

    The lines bear neither the code nor the enhanced code. *suspect* says that the lines disagreed
    about the code (the last one's counts): such a session is not to be trusted any further.
    """

    code: int
    enhanced: str | None
    lines: tuple[str, ...]
    suspect: bool = False
    unmasked: str | None = field(default=None, repr=False, compare=False)
    """The text before something was taken out of it, None where nothing was. For `rules` alone: a
    password may be a word that a reply is judged by."""

    @property
    def text(self) -> str:
        """All lines as one, of `MAX_TEXT` characters at most."""
        text = self.lines[0] if len(self.lines) == 1 else " ".join(self.lines)
        return text[:MAX_TEXT]

    def __str__(self) -> str:
        """Render as one line of an SMTP dialogue."""
        return " ".join(filter(None, (str(self.code), self.enhanced, self.text)))

    @classmethod
    def parse(cls, text: str) -> "Reply":
        """Read a reply that somebody copied, with LF or CRLF between its lines or none at the end.

        Raise `ReplySyntaxError` if it is not one reply.
        """
        lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
        if not lines:
            raise ReplySyntaxError(
                "an empty reply: give a code and a text, as in '550 5.1.1 No such user'"
            )
        last = lines[-1]
        if last[3:4] == "-":
            lines[-1] = last[:3] + " " + last[4:]
        replies = ReplyParser().feed("".join(f"{line}\r\n" for line in lines).encode())
        if len(replies) != 1:
            raise ReplySyntaxError(f"{len(replies)} replies where one was expected")
        return replies[0]


class ReplyParser:
    """Makes replies of octets, in whatever pieces they arrive.

    After a `ReplySyntaxError` the stream has no meaning any more: close the connection.
    """

    __slots__ = ("_buffer", "_lines", "_size")

    def __init__(self) -> None:
        self._buffer = b""
        self._lines: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[Reply]:
        """Add *data*; return the replies that are complete by now."""
        if self._buffer:
            data = self._buffer + data
        *lines, self._buffer = data.split(b"\n")
        replies = []
        for line in lines:
            if line[3:4] != b"-" and not self._lines:
                self._check(len(line))
                replies.append(_single(line) if len(line) < MAX_TEXT else _assemble([line]))
            elif (reply := self._continue(line)) is not None:
                replies.append(reply)
        self._check(self._size + len(self._buffer))
        return replies

    def _continue(self, line: bytes) -> Reply | None:
        self._lines.append(line)
        self._size += len(line)
        self._check(self._size)
        if line[3:4] == b"-":
            return None
        lines, self._lines, self._size = self._lines, [], 0
        return _assemble(lines)

    def _check(self, size: int) -> None:
        # The limit holds for the whole reply, in however many pieces it arrives.
        if size > MAX_REPLY:
            raise ReplySyntaxError(f"a reply of more than {MAX_REPLY} octets")


@lru_cache(maxsize=128)
def _single(line: bytes) -> Reply:
    # A session hears the same three lines over and over; only the queue's id changes.
    return _assemble([line])


def _assemble(raw: list[bytes]) -> Reply:
    codes, texts = zip(*map(_split, raw), strict=True)
    code = codes[-1]
    enhanced, lines = _take_enhanced(code, texts)
    if not 300 <= code < 400:
        # A challenge is needed whole. Of all else nobody keeps more than the beginning.
        lines = _cut(lines, each_line=code < 300)
    return Reply(code, enhanced, lines, suspect=len(set(codes)) > 1)


def _cut(lines: tuple[str, ...], *, each_line: bool) -> tuple[str, ...]:
    """Cut *lines* to `MAX_TEXT` characters together, or each of them: EHLO may have many."""
    if sum(map(len, lines)) <= MAX_TEXT:
        return lines
    if each_line:
        return tuple(line[:MAX_TEXT] for line in lines)
    kept: list[str] = []
    left = MAX_TEXT
    for line in lines:
        kept.append(line[:left])
        left -= len(kept[-1])
        if left <= 0:
            break
    return tuple(kept)


def _split(raw: bytes) -> tuple[int, str]:
    line = raw.rstrip(b"\r")
    match = _LINE.match(line)
    if match is None:
        shown = line[:80].decode("ascii", "backslashreplace")
        raise ReplySyntaxError(f"this is no SMTP reply: {shown!r}")
    text = match[3].decode("utf-8", "replace")
    return int(match[1]), text if text.isprintable() else _printable(text)


def _printable(text: str) -> str:
    # A reply reaches terminals and logs: escape sequences in it must not.
    return "".join(char if char.isprintable() else " " for char in text)


def split_enhanced(text: str) -> tuple[str | None, str]:
    """Split an enhanced status code from the front of *text*; None where it begins with none."""
    match = _ENHANCED.match(text)
    return (".".join(match.groups()), text[match.end() :]) if match else (None, text)


def _take_enhanced(code: int, texts: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    enhanced: str | None = None
    lines: list[str] = []
    for text in texts:
        match = _ENHANCED.match(text)
        if match is None or match[1] != str(code)[0]:
            lines.append(text)
            continue
        enhanced = ".".join(match.groups())
        lines.append(text[match.end() :])
    found = _ENHANCED_AT_END.search(" ".join(texts)) if enhanced is None else None
    if found is not None and found[1] == str(code)[0]:
        enhanced = ".".join(found.groups())
    return enhanced, tuple(lines)
