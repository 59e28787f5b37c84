"""Where templates that are not trusted run: in a second process, which may be killed.

Jinja's sandbox keeps a template from reaching Python's insides. It does not keep it from taking an hour,
all memory, or the whole stack of a parser written in C. Only the kernel can end that, and it ends a whole
process. So there is a second one: asked one question at a time, it answers or dies; then the next
question starts another.
"""

import atexit
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from threading import Lock
from typing import Any, Final

from mailer.compose.fenced.inside import MEMORY, SECONDS, main, read, write
from mailer.errors import InputError, TemplateError


class EndedError(TemplateError):
    """The process took more than it may, and ended."""


class RestartedError(Exception):
    """The process that was asked has ended, and another has been started since."""


class Fence:
    """The second process; one question at a time, from whichever thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._generation = 0

    def ask(self, generation: int, *question: object) -> Any:
        """Return the answer to *question*, or raise what it raises there.

        Raises `EndedError` when the process took too long or too much memory, or crashed. Raises
        `RestartedError` where the process is not that of *generation* any more: it knows nothing of what
        the other was told.
        """
        try:
            packed = pickle.dumps(question)
        except Exception as error:  # a caller's own objects may raise anything
            raise InputError(
                "a template that is not trusted gets text, numbers, dates, lists and mappings; "
                f"this cannot be handed over: {type(error).__name__}"
            ) from error
        with self._lock:
            process = self._living()
            if self._generation != generation:
                raise RestartedError
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                write(process.stdin, packed)
                kind, answer = pickle.loads(read(process.stdout))  # noqa: S301 - our own process's
            except (EOFError, BrokenPipeError):
                raise _ended(self._reaped()) from None
        if kind == "raised":
            assert isinstance(answer, Exception)
            raise answer
        return answer

    def start(self) -> int:
        """Start a process if there is none; returns its generation: they are counted from 1."""
        with self._lock:
            self._living()
            return self._generation

    def close(self) -> None:
        """End the process."""
        with self._lock:
            if self._process is not None:
                self._process.kill()
                self._reaped()

    def leave(self) -> None:
        """In the child of a fork: forget the process, which belongs to the parent."""
        self._lock = Lock()
        process, self._process = self._process, None
        if process is not None:
            process.returncode = 0  # else Popen waits for it when it is collected, and warns
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()

    def _living(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self._reaped()
        if self._process is None:
            self._generation += 1
            self._process = subprocess.Popen(  # noqa: S603 - our own words
                program(main),
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self._process

    def _reaped(self) -> int:
        process, self._process = self._process, None
        assert process is not None
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()
        return process.wait()


def program(main: Callable[[], None]) -> list[str]:
    """The command that runs *main*, a module's function, in a new Python with this one's import path."""
    name, begin = main.__name__, f"import sys; sys.path[:] = {sys.path!r}"
    return [sys.executable, "-c", f"{begin}; from {main.__module__} import {name}; {name}()"]


def ending(code: int) -> str:
    """How a process ended, by its return *code*: the signal's name, or the exit code."""
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _ended(code: int) -> EndedError:
    if code == -signal.SIGPROF:
        return EndedError(f"the template takes more than {SECONDS:g} seconds")
    return EndedError(
        f"the template takes more than {MEMORY >> 20} MB, or nests too deeply: "
        f"its process ended ({ending(code)})"
    )


FENCE: Final = Fence()
os.register_at_fork(after_in_child=FENCE.leave)
atexit.register(FENCE.close)
