"""Calls that block, many in one thread: what is asked while it works goes along with its next round.

A thread's hand-over costs more than one question to Redis does; under load it is paid once for many.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock
from typing import Any, Final, Generic, TypeAlias, TypeVar

_A = TypeVar("_A")
_R = TypeVar("_R")
_Done: TypeAlias = tuple[asyncio.Future[Any], Any, BaseException | None]

LARGEST_ROUND: Final = 64
"""How many are answered together: what Redis is asked for at once stays short."""


class Together(Generic[_A, _R]):
    """One thread that answers calls in the order in which they come.

    *answer* gets what was asked, several at a time, and returns as many results; what it raises, each of
    them gets.
    """

    def __init__(self, name: str, answer: Callable[[Sequence[_A]], Sequence[_R]]) -> None:
        self._thread: Final = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._answer = answer
        self._lock = Lock()
        self._asked: list[tuple[_A, asyncio.Future[_R]]] = []
        self._works = False

    async def call(self, asked: _A) -> _R:
        """What is answered to *asked*, or what the answer raises."""
        answer: asyncio.Future[_R] = asyncio.get_running_loop().create_future()
        with self._lock:
            self._asked.append((asked, answer))
            begins, self._works = not self._works, True
        if begins:
            self._thread.submit(self._work)
        return await answer

    def _work(self) -> None:
        while True:
            with self._lock:
                asked = self._asked[:LARGEST_ROUND]
                del self._asked[:LARGEST_ROUND]
                if not asked:
                    self._works = False
                    return
            done: dict[asyncio.AbstractEventLoop, list[_Done]] = {}
            for settled in self._answered(asked):
                done.setdefault(settled[0].get_loop(), []).append(settled)
            for loop, several in done.items():
                with suppress(RuntimeError):  # a loop that has ended: nobody waits there
                    loop.call_soon_threadsafe(_settle, several)

    def _answered(self, asked: Sequence[tuple[_A, asyncio.Future[_R]]]) -> list[_Done]:
        try:
            results = self._answer([one for one, _ in asked])
        except Exception as error:  # noqa: BLE001 - it is the callers'
            return [(answer, None, error) for _, answer in asked]
        return [(answer, result, None) for (_, answer), result in zip(asked, results, strict=True)]


def _settle(done: list[_Done]) -> None:
    for answer, result, error in done:
        if answer.done():  # whoever asked went away
            continue
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)
