"""The process that tells the application: whatever runs there, the worker goes on."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mailer.config import load
from mailer.errors import EventsNotTakenError
from mailer.worker.telling.helper import Helper
from mailer.worker.telling.shown import delivery
from mailer.worker.telling.ways import orders
from tests.servers.waiting import eventually

SHOP = """
import asyncio, ctypes, json, os, signal, subprocess, sys, time

def on_event(events):
    print("a shop prints what it likes")
    with open("told.jsonl", "a") as file:
        for event in events:
            file.write(json.dumps(event) + "\\n")

async def awaited(events):
    await asyncio.sleep(0)
    on_event(events)

def raises(events):
    raise ValueError(f"no such customer: {events[0]['mailbox']}")

def hangs(events):
    on_event(events)
    while True:
        pass

def hangs_in_c(events):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    ctypes.PyDLL(None).sleep(600)

def leaves(events):
    sys.exit("goodbye")

def dies(events):
    os._exit(3)

def leaves_a_child(events):
    child = subprocess.Popen(["sleep", "600"])
    open("child", "w").write(str(child.pid))
    time.sleep(600)

class Silent(Exception):
    def __str__(self):
        raise RuntimeError("no words")

def raises_without_words(events):
    raise Silent

def generates(events):
    yield on_event(events)

def hides_that_it_generates(events):
    return generates(events)

def slow(events):
    open("began", "w").write(str(os.getpid()))
    time.sleep(1)
    on_event(events)
"""


@pytest.fixture
def shop(tmp_path, monkeypatch):
    (tmp_path / "shop_mail.py").write_text(SHOP)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def helper(shop):
    made = []

    def make(function, limit=60.0):
        path = function if ":" in function else f"shop_mail:{function}"
        (shop / "mailer.toml").write_text(f'[events]\nhook = "{path}"\n')
        settings = load(shop / "mailer.toml", {})
        made.append(Helper(orders("hook", settings), limit))
        return made[-1]

    yield make
    for one in made:
        one.close()


def body(*numbers):
    return delivery([{"id": f"e{n}", "mailbox": "ada@example.org"} for n in numbers])


def told(folder):
    file = folder / "told.jsonl"
    return (
        [json.loads(line)["id"] for line in file.read_text().splitlines()] if file.exists() else []
    )


@pytest.mark.parametrize("function", ["on_event", "awaited"])
def test_a_function_is_told_in_one_process_for_all_deliveries(helper, shop, function):
    one = helper(function)
    one.tell(body(1, 2))
    process = one._process
    one.tell(body(3))

    assert told(shop) == ["e1", "e2", "e3"]
    assert one._process is process


def test_what_a_function_raises_is_said_with_its_place_and_without_addresses(helper):
    with pytest.raises(EventsNotTakenError) as caught:
        helper("raises").tell(body(1))

    assert str(caught.value) == "ValueError: no such customer: … (shop_mail.py:15)"


def test_one_that_raises_what_has_no_words_is_named_by_its_kind(helper):
    with pytest.raises(EventsNotTakenError, match=r"^Silent \(shop_mail"):
        helper("raises_without_words").tell(body(1))


def test_a_generator_takes_nothing_and_is_refused(helper, shop):
    with pytest.raises(EventsNotTakenError, match="nothing of it would be run"):
        helper("generates").check()
    hidden = helper("hides_that_it_generates")
    hidden.check()
    with pytest.raises(EventsNotTakenError, match="nothing of it would be run"):
        hidden.tell(body(1))
    assert told(shop) == []


@pytest.mark.parametrize("function", ["hangs", "hangs_in_c"])
def test_one_that_hangs_is_killed_in_time_and_the_next_is_told(helper, shop, function):
    one = helper(function, 3.0)
    one.check()
    with pytest.raises(EventsNotTakenError, match="no answer within 3 s"):
        one.tell(body(1))

    one._orders["target"] = "shop_mail:on_event"
    one.tell(body(2))
    assert told(shop)[-1] == "e2"


def test_all_that_it_has_started_goes_with_it(helper, shop):
    one = helper("leaves_a_child", 3.0)
    one.check()
    with pytest.raises(EventsNotTakenError):
        one.tell(body(1))
    child = int((shop / "child").read_text())

    eventually(lambda: not _lives(child))


@pytest.mark.parametrize(
    ("function", "why"),
    [("leaves", "SystemExit: goodbye"), ("dies", "its process ended in the middle: exit status 3")],
)
def test_one_that_ends_its_process_is_a_refusal(helper, shop, function, why):
    one = helper(function)
    for _ in range(2):
        with pytest.raises(EventsNotTakenError, match=why):
            one.tell(body(1))


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("shop_mail:nobody", "events.hook: 'shop_mail:nobody' cannot be imported"),
        ("no_such_module:on_event", "No module named 'no_such_module'"),
        ("shop_mail:json", "is no function"),
        ("broken:on_event", "events.hook: ZeroDivisionError: division by zero"),
    ],
)
def test_one_that_is_not_there_is_said_in_one_line_before_anything_is_told(helper, shop, path, why):
    (shop / "broken.py").write_text("1 / 0\n")
    with pytest.raises(EventsNotTakenError) as caught:
        helper(path).check()
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_it_ends_with_its_worker_after_what_is_under_way(shop):
    """The worker is killed with SIGKILL while a delivery is under way."""
    script = (
        "from mailer.config import load\n"
        "from mailer.worker.telling.helper import Helper\n"
        "from mailer.worker.telling.ways import orders\n"
        "from mailer.worker.telling.shown import delivery\n"
        "helper = Helper(orders('hook', load('mailer.toml', {})), 20)\n"
        "helper.tell(delivery([{'id': 'e1'}]))\n"
    )
    (shop / "mailer.toml").write_text('[events]\nhook = "shop_mail:slow"\n')
    worker = subprocess.Popen([sys.executable, "-c", script])
    began = eventually(lambda: (shop / "began").exists() and (shop / "began").read_text())
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()

    eventually(lambda: not _lives(int(began)))
    assert told(shop) == ["e1"]


def _lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
