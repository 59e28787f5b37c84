"""Which processes make a campaign's messages, beside the one that enqueues.

Each is a new Python that does not import the caller's script. `multiprocessing` would import it: one
without ``if __name__ == "__main__"`` would then run, and send, in each process again. Nor may a child of
Celery's pool use `multiprocessing`. So classes of the script are unknown in these processes: messages
from values of such classes are made in the caller's own process.
"""

import contextlib
import logging
import os
import pickle
import signal
import subprocess
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Final, Self

from mailer.compose import Composer, Design, composer_of
from mailer.compose.fenced.fence import ending, program
from mailer.compose.fenced.inside import read, write
from mailer.errors import MailerError, TemplateError
from mailer.mail.recipients import Recipient
from mailer.produce.composing import Composed, Maker, compose

log = logging.getLogger("mailer.produce")

_NOT_HANDED_OVER: Final = (
    "%s cannot be handed to another process: this one renders. Values may be of modules that can be "
    "imported, not of the script that is run"
)


class Renderers:
    """Up to *count* processes that make messages of *design*; *here* makes those that they cannot.

    Use it as a context manager: at its end the processes end.
    """

    def __init__(self, count: int, design: Design, here: Maker) -> None:
        self._design = design
        self._here = here
        self._threads = ThreadPoolExecutor(count)
        self._free: SimpleQueue[_Beside | None] = SimpleQueue()
        for _ in range(count):
            self._free.put(None)
        self._count = count
        self._told = False

    def __enter__(self) -> Self:
        """Start no process yet: a small campaign needs fewer."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End them."""
        self._threads.shutdown(cancel_futures=True)
        for _ in range(self._count):
            if (beside := self._free.get()) is not None:
                beside.close()

    def submit(
        self, account: str, recipients: Sequence[Recipient], version: int
    ) -> Future[Composed]:
        """Have one batch's messages made, as a payload of *version*."""
        return self._threads.submit(self._made, account, recipients, version)

    def _made(self, account: str, recipients: Sequence[Recipient], version: int) -> Composed:
        # There are as many places as threads, so one is free.
        beside = self._free.get()
        try:
            question = pickle.dumps((account, recipients, version))
            beside = beside or _Beside(pickle.dumps(self._design))
            kind, answer = beside.ask(question)
        except (pickle.PicklingError, AttributeError, TypeError) as exc:
            kind, answer = "unknown", type(exc).__name__
        finally:
            self._free.put(beside)
        if kind == "unknown":
            if not self._told:
                self._told = True
                log.warning(_NOT_HANDED_OVER, answer)
            return compose(self._here, account, recipients, version)
        if kind == "raised":
            raise answer
        assert isinstance(answer, Composed)
        return answer


class _Beside:
    """One process; whichever thread holds it may ask."""

    def __init__(self, design: bytes) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own words
            program(main), bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._design = design

    def ask(self, question: bytes) -> tuple[str, Any]:
        """Return the kind of the answer (``answer``, ``raised``, ``unknown``), and the answer.

        Raises `MailerError` where the process has ended.
        """
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if self._design:
                write(process.stdin, self._design)
                self._design = b""
            write(process.stdin, question)
            kind, answer = pickle.loads(read(process.stdout))  # noqa: S301 - our own process's
        except (EOFError, BrokenPipeError):
            how = ending(process.wait())
            raise MailerError(
                f"a process that rendered has ended ({how}): too little memory? What is queued is being "
                "sent; call it again to go on with the rest"
            ) from None
        return kind, answer

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


def main() -> None:
    """Make messages until the process that asks closes its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    questions = os.fdopen(0, "rb", buffering=0)
    composer: Composer | None = None
    with contextlib.suppress(EOFError, BrokenPipeError):
        design = read(questions)
        while True:
            question = read(questions)
            try:
                account, recipients, version = pickle.loads(question)  # noqa: S301 - who started this
                composer = composer or composer_of(pickle.loads(design))  # noqa: S301
            except (pickle.UnpicklingError, AttributeError, ImportError) as exc:
                write(answers, pickle.dumps(("unknown", type(exc).__name__)))
            except Exception as exc:  # noqa: BLE001 - told to who asks
                write(answers, _raised(exc))
            else:
                write(answers, _answered(composer, account, recipients, version))


def _answered(composer: Composer, *question: Any) -> bytes:
    try:
        return pickle.dumps(("answer", compose(composer, *question)))
    except Exception as exc:  # noqa: BLE001 - told to who asks
        return _raised(exc)


def _raised(error: Exception) -> bytes:
    if not isinstance(error, MailerError):
        # An exception of a library may not be picklable.
        error = TemplateError(f"the template fails: {type(error).__name__}: {error}")
    return pickle.dumps(("raised", error))
