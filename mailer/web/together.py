"""Calls that block, many in one thread: what is asked while it works goes along with its next round.

A thread's hand-over costs more than one question to Redis does; under load it is paid once for many.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock
from typing import Any, Final, TypeAlias, TypeVar

_T = TypeVar("_T")
_Done: TypeAlias = tuple[asyncio.Future[Any], Any, BaseException | None]


class Together:
    """One thread that answers calls in the order in which they come."""

    def __init__(self, name: str) -> None:
        self._thread: Final = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._lock = Lock()
        self._asked: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []
        self._works = False

    async def call(self, what: Callable[[], _T]) -> _T:
        """What *what* returns, or raises, in the thread."""
        answer: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        with self._lock:
            self._asked.append((what, answer))
            begins, self._works = not self._works, True
        if begins:
            self._thread.submit(self._work)
        return await answer

    def _work(self) -> None:
        while True:
            with self._lock:
                asked, self._asked = self._asked, []
                if not asked:
                    self._works = False
                    return
            done: dict[asyncio.AbstractEventLoop, list[_Done]] = {}
            for what, answer in asked:
                done.setdefault(answer.get_loop(), []).append((answer, *_answered(what)))
            for loop, settled in done.items():
                with suppress(RuntimeError):  # a loop that has ended: nobody waits there
                    loop.call_soon_threadsafe(_settle, settled)


def _answered(what: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    try:
        return what(), None
    except Exception as error:  # noqa: BLE001 - it is the caller's
        return None, error


def _settle(done: list[_Done]) -> None:
    for answer, result, error in done:
        if answer.done():  # whoever asked went away
            continue
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)
