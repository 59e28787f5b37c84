"""Whoever answers before TLS is verified decides nothing for good: a real ledger, no worker process."""

import pytest

from mailer import Campaign
from mailer.deliver.delivery import Delivery
from mailer.deliver.heard import held_against
from mailer.mail.said import Said
from mailer.smtp import Action, Judgement
from mailer.store.breaker import COOLING, Breaker, Trouble
from tests.servers.scripted import ScriptedServer
from tests.servers.shop import shop

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
    with ScriptedServer() as server:
        server.say_in_turn(*request.param)
        yield server.port


def test_one_connection_that_somebody_else_answered_costs_time_and_no_message(
    impostor, redis_url, client, tmp_path, monkeypatch
):
    monkeypatch.setenv("PASSWORD", "right")
    account = {"url": f"smtp+starttls://shop@127.0.0.1:{impostor}"}
    settings = shop(redis_url, tmp_path, impostor, account=account)
    mailing = Campaign("spring", template="hello", settings=settings)
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
