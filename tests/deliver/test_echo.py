"""A server that repeats what it was told: neither password nor addresses are kept for others to see."""

import base64

import pytest

from mailer import Campaign
from mailer.deliver.delivery import Delivery
from mailer.store.breaker import STOPPED, Breaker
from mailer.store.dead_letters import DeadLetters, Filter
from tests.servers.scripted import ScriptedServer
from tests.servers.shop import shop

PASSWORD = "correct horse battery staple"
LINE = base64.b64encode(f"\0shop@example.org\0{PASSWORD}".encode()).decode()
GREETING = "220 mx ready"
OFFER = "250-mx\r\n250 AUTH PLAIN"
SHOWN = "ada.lovelace"


@pytest.fixture
def server():
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def deliver(server, redis_url, client, tmp_path, monkeypatch):
    """Deliver one message; return what Redis holds besides the message itself."""
    monkeypatch.setenv("PASSWORD", PASSWORD)
    account = {"url": f"smtp://127.0.0.1:{server.port}", "username": "shop@example.org"}
    settings = shop(redis_url, tmp_path, server.port, account=account)

    def run():
        mailing = Campaign("spring", template="hello", settings=settings)
        mailing.enqueue([{"email": f"{SHOWN}@example.org"}])
        delivery = Delivery(settings, client)
        (ref,) = client.zrange("mailer:queued:bulk", 0, 0)
        delivery.deliver(ref.decode())
        delivery.close()
        state = Breaker(client).state("primary", 0.0)
        letters = list(DeadLetters(client).find(Filter(), 0.0))
        return state, letters

    return run


def everything(client):
    """Every octet that Redis holds."""
    return b"".join(client.dump(key) or b"" for key in client.keys("*")) + b"".join(
        value for key in client.keys("mailer:account:*") for value in client.hgetall(key).values()
    )


@pytest.mark.parametrize(
    "said",
    [
        f"535 5.7.8 no such command: AUTH PLAIN {LINE}",
        f"535 5.7.8 wrong password {PASSWORD!r}",
        f"535 5.7.8 wrong: {base64.b64encode(PASSWORD.encode()).decode()}",
    ],
)
def test_a_password_that_a_server_repeats_is_kept_nowhere(server, deliver, client, caplog, said):
    server.say_in_turn(GREETING, OFFER, said)
    state, letters = deliver()
    assert state.state == STOPPED
    assert state.said.code == 535
    shown = f"{state}{letters}{caplog.text}".encode() + everything(client)
    for form in (PASSWORD, LINE, base64.b64encode(PASSWORD.encode()).decode()):
        assert form[4:20].encode() not in shown


@pytest.mark.parametrize(
    "spelling", ["{}@example.org", "{}=40example.org", "{}%40example.org", '"{}"@example.org', "{}"]
)
def test_a_recipient_that_a_server_repeats_is_in_no_dead_letter_and_no_state(
    server, deliver, spelling
):
    mailbox = spelling.format(SHOWN)
    refusal = f"550 5.7.1 your account may not write to <{mailbox}>: sender not verified"
    server.say_in_turn(GREETING, OFFER, "235 2.7.0 welcome", "250 ok", refusal)
    state, letters = deliver()
    assert state.state == STOPPED
    assert letters
    assert SHOWN not in f"{state}{[letter.said for letter in letters]}"
