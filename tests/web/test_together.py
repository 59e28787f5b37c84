"""Calls that block share a thread: each gets its own answer, whatever the others do."""

import asyncio
import threading

import pytest

from mailer.web.together import Together


def test_each_gets_its_own_answer_in_one_thread():
    together = Together("test")
    names = set()

    def answer(number):
        names.add(threading.current_thread().name)
        if number % 7 == 0:
            raise ValueError(number)
        return number

    async def ask():
        calls = [together.call(lambda number=number: answer(number)) for number in range(500)]
        return await asyncio.gather(*calls, return_exceptions=True)

    found = asyncio.run(ask())
    for number, one in enumerate(found):
        assert one.args == (number,) if number % 7 == 0 else one == number
    assert len(names) == 1


def test_what_comes_while_it_works_goes_with_the_next_round_and_who_left_is_passed_over():
    together = Together("test")
    began, may_end = threading.Event(), threading.Event()

    def slow():
        began.set()
        assert may_end.wait(10)
        return "slow"

    async def ask():
        first = asyncio.create_task(together.call(slow))
        await asyncio.to_thread(began.wait, 10)
        gone = asyncio.create_task(together.call(lambda: "gone"))
        later = asyncio.create_task(together.call(lambda: "later"))
        await asyncio.sleep(0)
        gone.cancel()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await gone
        return await first, await later

    assert asyncio.run(ask()) == ("slow", "later")


def test_it_goes_on_in_another_loop():
    together = Together("test")
    for number in range(3):
        assert asyncio.run(together.call(lambda number=number: number)) == number
