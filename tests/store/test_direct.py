"""Scripts called over a thread's own connection: whatever goes wrong, the client's way mends it."""

import os
import threading

import pytest

from mailer.errors import LedgerUnavailableError
from mailer.store.connection import Client, asking, connect, load
from mailer.store.ledger import Fresh, Ledger
from mailer.store.reach.reading import fields

SOME = [Fresh(b"recipien", 7)]


def test_a_script_that_the_server_does_not_know_yet_is_loaded(client: Client) -> None:
    client.script_flush()  # type: ignore[attr-defined] # more than the mailer uses

    assert Ledger(client).reserve("c", 0, SOME) == "n"


def test_a_command_is_asked_over_the_same_connection_and_survives_a_hang_up(client: Client) -> None:
    ask = asking(client)
    client.hset("mailer:account:a", mapping={"state": "running", "ok": "3"})
    for _ in range(2):
        assert fields(ask("HGETALL", "mailer:account:a")) == {b"state": b"running", b"ok": b"3"}
        assert ask("GET", "mailer:nothing") is None
        client.client_kill_filter(_type="normal", skipme=True)  # type: ignore[attr-defined]


def test_a_command_that_is_refused_leaves_the_connection_in_step(client: Client) -> None:
    ask = asking(client)
    client.set("mailer:text", "x")
    with pytest.raises(Exception, match="WRONGTYPE"):
        ask("HGETALL", "mailer:text")

    assert ask("GET", "mailer:text") == b"x"


def test_a_call_survives_that_the_server_hangs_up(client: Client) -> None:
    ledger = Ledger(client)
    ledger.reserve("c", 0, SOME)
    client.client_kill_filter(_type="normal", skipme=True)  # type: ignore[attr-defined]

    assert ledger.reserve("c", 0, SOME) == "n"


def test_a_refused_call_leaves_the_connection_in_step(client: Client) -> None:
    reserve = load(client, "seen", "barring", "reserve")
    for _ in range(2):
        with pytest.raises(Exception, match="script"):
            reserve()

    assert reserve("c", 0, b"recipien", b"\0\0\0\7", 0, "bulk") == b"n"


def test_what_cannot_be_an_argument_is_refused(client: Client) -> None:
    with pytest.raises(Exception, match="cannot be an argument"):
        load(client, "seen", "barring", "reserve")(None)


def test_an_interrupted_call_leaves_no_reply_behind(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(client)
    ledger.reserve("c", 0, SOME)
    kind = type(client.connection_pool.make_connection())
    with monkeypatch.context() as patched:

        def interrupted(*_args: object, **_more: object) -> None:
            raise KeyboardInterrupt

        patched.setattr(kind, "read_response", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ledger.reserve("c", 0, SOME * 3)

    assert ledger.reserve("c", 0, SOME) == "n"


def test_threads_do_not_share_a_connection(client: Client) -> None:
    ledger = Ledger(client)
    wrong: list[str] = []

    def ask(size: int) -> None:
        for _ in range(200):
            answer = ledger.reserve(
                "c", 0, [Fresh(bytes([size, n, 0, 0, 0, 0, 0, 0]), 1) for n in range(size)]
            )
            if answer != "n" * size:
                wrong.append(answer)

    threads = [threading.Thread(target=ask, args=(size,)) for size in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_does_not_speak_over_its_parents_connection(client: Client) -> None:
    ledger = Ledger(client)
    ledger.reserve("c", 0, SOME)
    pid = os.fork()
    if pid == 0:
        answers = [ledger.reserve("c", 0, SOME * size) for size in (1, 1, 1)]
        os._exit(0 if answers == ["n"] * 3 else 1)
    answers = [ledger.reserve("c", 0, SOME) for _ in range(50)]

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert answers == ["n"] * 50


def test_a_redis_that_is_not_there_is_named() -> None:
    ledger = Ledger(connect("redis://127.0.0.1:1/0"))

    with pytest.raises(LedgerUnavailableError, match="cannot be reached"):
        ledger.reserve("c", 0, SOME)
