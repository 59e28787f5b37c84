"""How tests wait for what other processes do: they look again and again, and have much patience.

A deadline is there to end a test that fails. It says nothing of how soon a thing happens.
"""

import socket
import threading
import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 120.0
"""Seconds within which anything happens, on whatever machine."""

Found = TypeVar("Found")


def eventually(
    condition: Callable[[], Found],
    within: float = PATIENCE,
    what: str = "it",
    *,
    every: float = 0.03,
    no: tuple[type[Exception], ...] = (),
) -> Found:
    """Wait until *condition* returns something true, and return it; exceptions in *no* count as no.

    Fails after *within* seconds, and says *what* did not happen.
    """
    tick, deadline = threading.Event(), time.monotonic() + within
    while True:
        try:
            if found := condition():
                return found
        except no:
            pass
        assert time.monotonic() < deadline, f"{what} did not happen within {within:g} s"
        tick.wait(every)


def listening(port: int, *, greets: bool = False) -> None:
    """Wait until a server takes connections at *port* of this machine, and *greets* whoever comes."""

    def answers() -> bool:
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as probe:
            return not greets or bool(probe.recv(100))

    eventually(answers, what=f"a server at port {port}", no=(OSError,))
