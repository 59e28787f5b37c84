"""What runs behind the fence: composers, asked over a pipe, each question within bounds.

The kernel keeps the bounds: a timer for processor time, whose signal ends the process whatever it is
doing, and a limit of the address space.
"""

import contextlib
import os
import pickle
import resource
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from mailer.compose.composer import Composer
from mailer.compose.design import Design
from mailer.errors import MailerError, TemplateError
from mailer.mail.recipients import Recipient

SECONDS: Final = 3.0
"""Seconds of processor time for one question: to make a message, or to compile a template. Most messages
take less than a thousandth of it."""

MEMORY: Final = 512 << 20
"""Octets of address space beyond what the process has when it begins."""

# Octets of a question or an answer, and of the number before it.
_LONGEST: Final = 256 << 20
_SIZE: Final = 8


@dataclass(frozen=True, slots=True)
class Facts:
    """What the other side must know of a composer (see `Composer`)."""

    digest: str
    shared: dict[str, bytes]
    files: tuple[Path, ...]
    has_text: bool


class Composers:
    """The composers behind the fence, by number."""

    def __init__(self) -> None:
        self._known: dict[int, Composer] = {}

    def load(self, number: int, design: Design, like: int | None) -> Facts:
        """Compile the template of *design*, or use that of composer number *like*."""
        made = Composer(design, None if like is None else self._known[like])
        self._known[number] = made
        return Facts(made.digest, dict(made.shared), made.files, made.has_text)

    def drop(self, numbers: tuple[int, ...]) -> None:
        """Forget composers."""
        for number in numbers:
            self._known.pop(number, None)

    def compose(self, number: int, recipient: Recipient) -> Any:
        """Make one message. What it raises gets the row's number on the other side."""
        return self._known[number]._compose(recipient)  # noqa: SLF001

    def check(self, number: int, recipient: Recipient) -> None:
        """Raise what `compose` would raise."""
        self._known[number]._check(recipient)  # noqa: SLF001


def write(pipe: IO[bytes], packed: bytes) -> None:
    """Write one question or answer."""
    view = memoryview(len(packed).to_bytes(_SIZE, "big") + packed)
    while view:
        view = view[pipe.write(view) :]


def read(pipe: IO[bytes]) -> bytes:
    """Read one question or answer. Raises `EOFError` where the other side has ended."""
    size = int.from_bytes(_exactly(pipe, _SIZE), "big")
    if size > _LONGEST:
        raise EOFError
    return _exactly(pipe, size)


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        piece = pipe.read(size - len(found))
        if not piece:
            raise EOFError
        found += piece
    return bytes(found)


def _answered(composers: Composers, packed: bytes) -> bytes:
    try:
        what, *arguments = pickle.loads(packed)  # noqa: S301 - the process that started this one
        return pickle.dumps(("answer", getattr(composers, what)(*arguments)))
    except MailerError as error:
        return pickle.dumps(("raised", error))
    except RecursionError:
        return pickle.dumps(("raised", TemplateError("the template nests too deeply")))
    except Exception as error:  # noqa: BLE001 - such a template may make any library raise
        return pickle.dumps(
            ("raised", TemplateError(f"the template fails: {type(error).__name__}"))
        )


def _bound() -> None:
    """Bound the memory of this process; not where ``/proc`` does not say how much it has (macOS)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main() -> None:
    """Answer questions until the other side closes its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    questions = os.fdopen(0, "rb", buffering=0)
    composers = Composers()
    _bound()
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            packed = read(questions)
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            answer = _answered(composers, packed)
            signal.setitimer(signal.ITIMER_PROF, 0)
            write(answers, answer)
