"""Processes of Python's that begin as copies of one that has imported what a worker imports.

To start Python and import Celery is most of what a test's worker costs. `python` begins a process as
`subprocess.Popen` would, with words, folder and environment of its own. The one that is copied has read
no configuration, runs no thread and holds no connection. Workers started as people do are those of the
tests of commands, examples, documents, the compose file, and of Celery beside Celery.
"""

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

IMPORTED = (
    "celery.bin.worker",
    "celery.apps.worker",
    "celery.backends.base",
    "celery.concurrency.prefork",
    "celery.worker.components",
    "celery.worker.consumer",
    "celery.fixups.django",
    "kombu.transport.redis",
    "mailer.worker.host",
)
"""What every worker imports, whatever its configuration."""

_NUMBER = struct.Struct("!q")
_ONE_AT_A_TIME = threading.Lock()


class Copied:
    """What `subprocess.Popen` says of a process, and does to it."""

    def __init__(self, words: Iterable[str], told: socket.socket) -> None:
        self.args = words
        self.returncode: int | None = None
        self._told = told
        self.pid = self._number()

    def poll(self) -> int | None:
        """How it ended; None while it runs."""
        if self.returncode is None:
            self._told.setblocking(False)
            with suppress(BlockingIOError):
                self._ended()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended; raises `subprocess.TimeoutExpired`."""
        if self.returncode is None:
            self._told.settimeout(timeout)
            try:
                self._ended()
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0) from None
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def _ended(self) -> None:
        self.returncode = self._number()
        self._told.close()

    def _number(self) -> int:
        read = self._told.recv(_NUMBER.size)
        assert len(read) == _NUMBER.size, "the process that is copied has ended"
        return int(_NUMBER.unpack(read)[0])


def python(words: Iterable[str], *, cwd: Path, env: Mapping[str, str], output: IO[bytes]) -> Copied:
    """Begin ``python *words*``, at the head of a group of its own. What it says goes to *output*."""
    words = list(words)
    told, its_end = socket.socketpair()
    request = json.dumps({"words": words, "cwd": str(cwd), "env": dict(env)}).encode()
    with its_end, _ONE_AT_A_TIME:
        line = _origin()
        socket.send_fds(line, [_NUMBER.pack(len(request))], [output.fileno(), its_end.fileno()])
        line.sendall(request)
    return Copied(words, told)


@functools.cache
def _origin() -> socket.socket:
    """The line to the process that is copied; it ends with this one."""
    line, its_end = socket.socketpair()
    with its_end:
        process = subprocess.Popen(
            [sys.executable, __file__, str(its_end.fileno())],
            pass_fds=[its_end.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
    atexit.register(_end, line, process)
    return line


def _end(line: socket.socket, process: subprocess.Popen[bytes]) -> None:
    line.close()
    process.wait()


def _copies(line: socket.socket) -> list[str]:
    """Begin whatever is asked for, and tell of its end. Returns in each copy, with its words."""
    told: dict[int, socket.socket] = {}
    heard, wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes)
    while True:
        ready, _, _ = select.select([line, heard], [], [])
        if heard in ready:
            os.read(heard, 4096)
            _tell(told)
        if line in ready:
            header, given, _, _ = socket.recv_fds(line, _NUMBER.size, 2)
            if not header:
                os._exit(0)
            text = _read(line, _NUMBER.unpack(header)[0])
            pid = os.fork()
            if not pid:
                for one in (line, *told.values()):
                    one.close()
                os.close(heard)
                os.close(wakes)
                return _become(json.loads(text), *given)
            os.close(given[0])
            told[pid] = socket.socket(fileno=given[1])


def _read(line: socket.socket, size: int) -> bytes:
    text = b""
    while len(text) < size:
        text += line.recv(size - len(text))
    return text


def _tell(told: dict[int, socket.socket]) -> None:
    """Tell how those ended that have."""
    while told:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        with told.pop(pid) as end, suppress(OSError):  # nobody asks any more
            end.send(_NUMBER.pack(os.waitstatus_to_exitcode(status)))


def _become(asked: dict[str, Any], output: int, asker: int) -> list[str]:
    """Be a process as it is *asked* for; returns its words."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    with socket.socket(fileno=asker) as line:  # not earlier: who knows it may kill its group
        line.send(_NUMBER.pack(os.getpid()))
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    time.tzset()
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[1:1] = [place for place in path if place and place not in sys.path]
    return list(asked["words"])


if __name__ == "__main__":
    sys.path[0] = ""  # as with -c: where it is started, not where this lies
    for _name in IMPORTED:
        importlib.import_module(_name)
    gc.freeze()
    _words = _copies(socket.socket(fileno=int(sys.argv[1])))
    if _words[0] == "-c":
        sys.argv = ["-c", *_words[2:]]
        exec(compile(_words[1], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = _words
        runpy.run_path(_words[0], run_name="__main__")
