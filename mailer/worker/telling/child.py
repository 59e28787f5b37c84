"""The process that tells the application: it does what its worker asks, one delivery after the other.

It ends when its worker does. A delivery that is under way then has some time to finish. That is less than
the rest of the worker's lease, so that no other worker makes the same delivery at the same time.
"""

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from time import sleep
from typing import Any, BinaryIO, Final

from mailer.errors import EventsNotTakenError
from mailer.worker.telling.frames import read_frame, write_frame
from mailer.worker.telling.ways import way, words

MORE: Final = 2.0
"""Seconds beyond its limit after which a delivery ends this process, if its worker has not done so."""


def main() -> None:
    """Serve the worker at the other end of standard input and output."""
    # What the application prints must not be read as an answer: it goes to the worker's log instead.
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    # A signal to the worker's whole group of processes must not interrupt a delivery that is under way.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    waiting: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_listen, args=(requests, waiting), daemon=True).start()
    if (orders := waiting.get()) is not None:
        with suppress(OSError):  # the worker has died
            _serve(orders, waiting, answers)


def _serve(orders: dict[str, Any], waiting: "SimpleQueue[Any]", answers: BinaryIO) -> None:
    try:
        tell = way(orders)
    except EventsNotTakenError as exc:
        write_frame(answers, {"taken": False, "why": str(exc)})
        return
    write_frame(answers, {"taken": True})
    while (body := waiting.get()) is not None:
        signal.setitimer(signal.ITIMER_REAL, orders["limit"] + MORE)
        answer = _told(tell, body)
        signal.setitimer(signal.ITIMER_REAL, 0)
        write_frame(answers, answer)


def _told(tell: Callable[[bytes], None], body: bytes) -> dict[str, Any]:
    try:
        tell(body)
    except EventsNotTakenError as exc:
        return {"taken": False, "why": str(exc), "wait": exc.wait}
    except BaseException as exc:  # noqa: BLE001 - a stranger's code, which may also want to exit
        return {"taken": False, "why": words(exc)}
    return {"taken": True}


def _listen(requests: BinaryIO, waiting: "SimpleQueue[Any]") -> None:
    """Hand on what is asked, first the orders; when the worker has closed its end, end the process."""
    grace = 0.0
    try:
        orders = read_frame(requests)
        grace = orders["grace"]
        waiting.put(orders)
        while True:
            waiting.put(read_frame(requests))
    except EOFError:
        waiting.put(None)
        sleep(grace)
        os._exit(0)


if __name__ == "__main__":
    main()
