"""What a server said, in the shapes in which it travels and is shown."""

import dataclasses
import re
from typing import Final, cast

import msgpack

from mailer.errors import PayloadError

_VERSION: Final = 1

_ADDRESS: Final = re.compile(r"[^\s<>\"',;:()]+@[^\s<>\"',;:()]+")


def without_addresses(text: str) -> str:
    """What a server said, fit for logs, tasks and exceptions: each address becomes ``…``."""
    return _ADDRESS.sub("…", text)


@dataclasses.dataclass(frozen=True, slots=True)
class Said:
    """What the server said that killed the letter; *dialogue* is the end of the session, redacted."""

    stage: str = ""
    reply: str = ""
    action: str = ""
    rule: str = ""
    attempts: int = 0
    dialogue: tuple[str, ...] = ()

    @property
    def code(self) -> int:
        """The reply's code; 0 where there was no reply."""
        return int(self.reply[:3]) if self.reply[:3].isdigit() else 0

    def encode(self) -> bytes:
        """Write it down, versioned."""
        return cast("bytes", msgpack.packb((_VERSION, *dataclasses.astuple(self))))

    @classmethod
    def decode(cls, packed: bytes) -> "Said":
        """Read it. Raises `PayloadError`."""
        version, stage, reply, action, rule, attempts, dialogue = msgpack.unpackb(packed)
        if version != _VERSION:
            raise PayloadError(f"dead letter of version {version}, this mailer reads {_VERSION}")
        return cls(stage, reply, action, rule, attempts, tuple(dialogue))
