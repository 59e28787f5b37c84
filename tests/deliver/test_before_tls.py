"""Whoever answers before TLS is verified decides nothing for good: a real ledger, no worker process."""

import contextlib
import socket
import threading

import pytest

from mailer import Campaign
from mailer.config import Settings
from mailer.deliver.delivery import Delivery
from mailer.deliver.heard import held_against
from mailer.mail.said import Said
from mailer.smtp import Action, Judgement
from mailer.store.breaker import COOLING, Breaker, Trouble

ROWS = [{"email": f"r{number}@example.org"} for number in range(20)]

IMPOSTORS = {
    "no STARTTLS": ["220 portal", "250 portal"],
    "not wanted": ["554 5.7.1 your address is banned"],
    "not SMTP": ["HTTP/1.1 400 Bad Request"],
    "STARTTLS refused": ["220 portal", "250-portal\r\n250 STARTTLS", "502 5.5.1 no"],
}


@pytest.fixture(params=IMPOSTORS.values(), ids=IMPOSTORS)
def impostor(request):
    """A server that says its replies one after another, whatever it hears; gives its port."""
    greeting, *replies = request.param
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def talk(connection):
            connection.sendall(f"{greeting}\r\n".encode())
            for reply in replies:
                connection.recv(1000)
                connection.sendall(f"{reply}\r\n".encode())
            connection.recv(1000)

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, contextlib.suppress(OSError):
                        talk(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_one_connection_that_somebody_else_answered_costs_time_and_no_message(
    impostor, redis_url, client, tmp_path, monkeypatch
):
    monkeypatch.setenv("PASSWORD", "right")
    folder = tmp_path / "templates" / "hello"
    folder.mkdir(parents=True)
    (folder / "subject.txt").write_text("Hello\n")
    (folder / "body.txt").write_text("Hello.\n")
    account = {"url": f"smtp+starttls://shop@127.0.0.1:{impostor}", "password_env": "PASSWORD"}
    settings = Settings.model_validate(
        {"redis": redis_url, "templates": folder.parent, "accounts": {"primary": account}}
    )
    mailing = Campaign(
        "spring", template="hello", sender="news@shop.example", settings=settings, account="primary"
    )
    mailing.enqueue(ROWS)
    delivery = Delivery(settings, client)
    (ref,) = client.zrange("mailer:queued:bulk", 0, 0)
    delivery.deliver(ref.decode())
    delivery.close()
    outcomes = mailing.status().outcomes
    assert outcomes["dead"] == 0
    assert outcomes["queued"] + outcomes["deferred"] == len(ROWS)
    state = Breaker(client).state("primary", 0.0)
    assert state.state == COOLING
    assert state.said.text


@pytest.mark.parametrize("action", [one for one in Action if one is not Action.OK])
@pytest.mark.parametrize("is_certain", [True, False])
def test_what_is_not_certain_only_cools(action, is_certain):
    refusal = held_against(Judgement(action, "rule", is_certain), Said(text="try again in 7 days"))
    if not is_certain:
        assert refusal.trouble in (Trouble.COOLS, Trouble.SUSPECTED)
        assert refusal.until == 0.0
    else:
        assert refusal.trouble.value == action.meaning.account.value
