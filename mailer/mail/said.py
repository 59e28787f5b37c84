"""What a server said, in the one shape in which it is kept, travels and is shown."""

import dataclasses
import re
from typing import Final, cast

import msgpack

from mailer.errors import PayloadError

_VERSION: Final = 1

# An address, also with the @ as URLs, VERP and HTML write it, and with a quoted local part.
_QUOTED: Final = r"\"[^\"\s]{1,64}(?: [^\"\s]{1,64}){0,4}\""
_PLAIN: Final = r"[^\s<>\"',;:()]"
_ADDRESS: Final = re.compile(rf"(?:{_QUOTED}|{_PLAIN}{{1,254}}?)(?:@|=40|%40|&#64;){_PLAIN}+")
_STATUS: Final = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")


def without_addresses(text: str) -> str:
    """What a server said, fit for logs, tasks and exceptions: each address becomes ``…``."""
    return _ADDRESS.sub("…", text)


@dataclasses.dataclass(frozen=True, slots=True)
class Said:
    """What a server said to *stage*, and what followed from it.

    The reply has three parts: *code*, 0 where no reply was read; *enhanced*, the enhanced status code
    or ""; *text*. Without a reply, *text* says in our own words why. *action* and *rule* are how it was
    judged, *attempts* how often it was tried. *dialogue* is the end of the session, redacted.
    """

    stage: str = ""
    code: int = 0
    enhanced: str = ""
    text: str = ""
    action: str = ""
    rule: str = ""
    attempts: int = 0
    dialogue: tuple[str, ...] = ()

    @property
    def reply(self) -> str:
        """The reply in one line: ``550 5.1.1 no such user``."""
        return " ".join(part for part in (str(self.code or ""), self.enhanced, self.text) if part)

    @property
    def told(self) -> str:
        """The reply after its stage: ``RCPT: 550 5.1.1 no such user``."""
        return ": ".join(part for part in (self.stage, self.reply) if part)

    def encode(self) -> bytes:
        """Write it down, versioned."""
        # Version 1 holds the reply as one line. It stays, because workers of the last version read it.
        # Nothing is lost by it: a reply's text never begins with a status of its code's class.
        fields = (self.stage, self.reply, self.action, self.rule, self.attempts, self.dialogue)
        return cast("bytes", msgpack.packb((_VERSION, *fields)))

    @classmethod
    def read(cls, packed: bytes) -> "Said":
        """The same for whoever must go on: what cannot be read says so instead of what a server said."""
        try:
            return cls.decode(packed)
        except PayloadError as exc:
            return cls(text=f"(cannot be read: {exc})")

    @classmethod
    def decode(cls, packed: bytes) -> "Said":
        """Read it. Raises `PayloadError`."""
        try:
            version, *fields = msgpack.unpackb(packed)
            if version != _VERSION:
                reason = f"what a server said, of version {version}; this mailer reads {_VERSION}"
                raise PayloadError(reason)
            stage, reply, action, rule, attempts, dialogue = fields
            code, enhanced, text = _parts(reply)
            return cls(stage, code, enhanced, text, action, rule, attempts, tuple(dialogue))
        except (ValueError, TypeError, AttributeError, msgpack.UnpackException) as exc:
            if isinstance(exc, PayloadError):
                raise
            raise PayloadError(f"what a server said cannot be read: {type(exc).__name__}") from exc


def _parts(line: str) -> tuple[int, str, str]:
    """Code, enhanced status code and text of a line that `Said.reply` wrote."""
    code, _, rest = line.partition(" ")
    if not (len(code) == 3 and code.isascii() and code.isdigit()):
        return 0, "", line
    status, _, text = rest.partition(" ")
    if _STATUS.fullmatch(status) and status[0] == code[0]:
        return int(code), status, text
    return int(code), "", rest
