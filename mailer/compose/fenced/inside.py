"""What runs behind the fence: composers, asked over a pipe, each question within bounds.

The bounds are the kernel's: processor time by a timer whose signal ends the process, whatever it is
doing, and memory by a limit of the address space.
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
"""Of processor time: for one message, or to compile a template. Messages take less than a thousandth."""

MEMORY: Final = 512 << 20
"""Octets beside what the process takes itself."""

_LONGEST: Final = 256 << 20
_SIZE: Final = 8


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a composer outside."""

    digest: str
    shared: dict[str, bytes]
    files: tuple[Path, ...]
    has_text: bool


class Composers:
    """The composers behind the fence, by number."""

    def __init__(self) -> None:
        self._known: dict[int, Composer] = {}

    def load(self, number: int, design: Design, like: int | None) -> Facts:
        """Compile; from *like* where that is a composer of the same template."""
        made = Composer(design, None if like is None else self._known[like])
        self._known[number] = made
        return Facts(made.digest, dict(made.shared), made.files, made.has_text)

    def drop(self, numbers: tuple[int, ...]) -> None:
        """Forget composers."""
        for number in numbers:
            self._known.pop(number, None)

    def compose(self, number: int, recipient: Recipient) -> Any:
        """Make one message. Outside, what it raises gets the row's number."""
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
    """Read one. Raises `EOFError` where the other side is gone."""
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
    except Exception as error:  # noqa: BLE001 - what a stranger's template provokes in any library
        return pickle.dumps(
            ("raised", TemplateError(f"the template fails: {type(error).__name__}"))
        )


def _bound() -> None:
    """Bound what this process may take; where the system does not say how much that is, only time is."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main() -> None:
    """Answer until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who asks
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
