"""What is asked at the same time is answered together: each gets its own answer."""

import asyncio
import threading

import pytest

from mailer.web.together import LARGEST_ROUND, Together


def test_each_gets_its_own_answer_out_of_a_round_in_one_thread():
    names, rounds = set(), []

    def doubled(numbers):
        names.add(threading.current_thread().name)
        rounds.append(len(numbers))
        return [2 * number for number in numbers]

    together = Together("test", doubled)

    async def ask():
        return await asyncio.gather(*[together.call(number) for number in range(500)])

    assert asyncio.run(ask()) == [2 * number for number in range(500)]
    assert len(names) == 1
    assert sum(rounds) == 500
    assert max(rounds) == LARGEST_ROUND


def test_a_round_that_fails_fails_for_its_own_only():
    def refused(numbers):
        if 7 in numbers:
            raise ValueError(7)
        return numbers

    together = Together("test", refused)

    async def ask():
        with pytest.raises(ValueError, match="7"):
            await together.call(7)
        return await together.call(8)

    assert asyncio.run(ask()) == 8


def test_what_comes_while_it_works_goes_with_the_next_round_and_who_left_is_passed_over():
    began, may_end = threading.Event(), threading.Event()

    def slow(words):
        began.set()
        assert may_end.wait(10)
        return words

    together = Together("test", slow)

    async def ask():
        first = asyncio.create_task(together.call("slow"))
        await asyncio.to_thread(began.wait, 10)
        gone = asyncio.create_task(together.call("gone"))
        later = asyncio.create_task(together.call("later"))
        await asyncio.sleep(0)
        gone.cancel()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await gone
        return await first, await later

    assert asyncio.run(ask()) == ("slow", "later")


def test_it_goes_on_in_another_loop():
    together = Together("test", list)
    for number in range(3):
        assert asyncio.run(together.call(number)) == number
