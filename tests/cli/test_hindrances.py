"""What is said of a campaign that does not move, and when somebody presses Ctrl-C."""

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from time import time

import click
import pytest

from mailer import Campaign
from mailer.cli.campaigns import hindrances
from mailer.cli.session import Session
from mailer.config import load
from mailer.mail.said import Said
from mailer.mail.status import Detail, Status
from mailer.store.breaker import Breaker, Refusal, Trouble
from mailer.store.ledger import Ledger, Settlement
from mailer.store.pace import Pace
from tests.store.batches import NOW, claim, enqueue, open_campaign

BAD_PASSWORD = Said("AUTH", 535, "5.7.8", "bad password")
LATER = Said("AUTH", 454, "4.7.0", "try later")


@pytest.fixture
def session(place):
    with (place / "mailer.toml").open("a") as file:
        file.write('[accounts.backup]\nurl = "smtp://localhost:1"\n')
    opened = Session()
    opened.place(place / "mailer.toml", None)
    return opened


@pytest.fixture
def campaign(session, monkeypatch, place):
    monkeypatch.chdir(place)

    def made(name="spring", **how):
        return Campaign(name, template="hello", settings=session.settings, **how)

    return made


def stopped(client):
    refusal = Refusal(Trouble.STOPS, "credentials", BAD_PASSWORD)
    Breaker(client).refused("primary", "w1", refusal, time())


def cooling(client):
    Breaker(client).refused("primary", "w1", Refusal(Trouble.COOLS, "temporary", LATER), time())


def paused(client):
    Pace(client).throttled("primary", "454 rate exceeded, retry after 600 seconds")


def running(client):
    Breaker(client).succeeded("primary", "w1", time())


# What is in the way.


@pytest.mark.parametrize(
    ("state", "begins", "ends"),
    [
        (
            stopped,
            "account primary is stopped (535 5.7.8 bad password): mend it, then mailer --config ",
            "accounts start primary",
        ),
        (cooling, "account primary waits until ", "(454 4.7.0 try later), then tries again"),
        (paused, "account primary pauses until ", ": its server asked for it"),
    ],
)
def test_an_account_that_cannot_send_is_said_in_one_sentence(
    client, session, campaign, state, begins, ends
):
    state(client)
    (sentence,) = hindrances.found(session, campaign())
    assert sentence.startswith(begins)
    assert sentence.endswith(ends)


@pytest.mark.parametrize("state", [running, lambda _client: None], ids=["running", "unknown"])
def test_of_an_account_that_can_nothing_is_said(client, session, campaign, state):
    state(client)
    assert list(hindrances.found(session, campaign())) == []


def test_only_the_accounts_of_the_campaign_are_looked_at(client, session, campaign):
    stopped(client)
    assert list(hindrances.found(session, campaign(account="backup"))) == []
    several = campaign("other", account={"primary": 1, "backup": 1})
    assert len(list(hindrances.found(session, several))) == 1


def test_it_is_said_on_standard_error_so_that_a_pipe_stays_clean(client, session, campaign, capsys):
    stopped(client)
    hindrances.warn(session, campaign())
    out, err = capsys.readouterr()
    assert out == ""
    assert "mailer: account primary is stopped" in " ".join(err.split())


# When it begins.


@pytest.mark.parametrize(
    ("hours", "out", "err"),
    [(None, "", ""), (2, "not before ", ""), (-2, "", "is over, so it begins now")],
)
def test_when_it_begins_is_said_and_a_time_that_is_over_is_a_warning(
    campaign, capsys, hours, out, err
):
    start = None if hours is None else datetime.now(UTC) + timedelta(hours=hours)
    hindrances.begins(campaign(start_at=start))
    said = capsys.readouterr()
    assert said.out.strip().startswith(out)
    assert bool(said.out) is bool(out)
    assert err in " ".join(said.err.split())
    assert bool(said.err) is bool(err)


# Ctrl-C.


@contextmanager
def interrupted():
    """Exit code 130, as shells know it."""
    with pytest.raises(click.exceptions.Exit) as ended:
        yield
    assert ended.value.exit_code == 130


@pytest.mark.parametrize("block", ["interruptible", "resumable"])
def test_before_anything_was_queued_that_is_said(client, session, campaign, capsys, block):
    with interrupted(), getattr(hindrances, block)(session, campaign()):
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "mailer: interrupted; nothing was queued\n"


@pytest.mark.parametrize(
    ("number", "words"), [(1, "1 recipient of spring is queued"), (2, "2 recipients of spring are")]
)
def test_what_is_queued_by_then_is_being_sent_and_can_be_stopped(
    client, session, campaign, capsys, number, words
):
    open_campaign(client)
    enqueue(client, range(1, number + 1))
    with interrupted(), hindrances.interruptible(session, campaign()):
        raise KeyboardInterrupt
    said = " ".join(capsys.readouterr().err.split())
    assert words in said
    assert "The same command goes on" in said
    for command in ("pause spring", "cancel spring"):
        assert f"mailer --config mailer.toml {command}" in said


def test_a_run_that_is_interrupted_says_how_far_it_was_and_that_nothing_is_sent_meanwhile(
    client, session, campaign, capsys
):
    open_campaign(client)
    ref, _ = enqueue(client, [1, 2, 3])
    claimed = claim(client, ref)
    Ledger(client).commit(claimed, [Settlement(0, Status.ACCEPTED)], (), NOW, NOW + 15)
    with interrupted(), hindrances.resumable(session, campaign()):
        raise KeyboardInterrupt
    said = " ".join(capsys.readouterr().err.split())
    assert "1 of 3 recipients of spring are final, 2 wait in " in said
    assert "nothing is sent meanwhile" in said
    assert "cancel spring ends it" in said


def test_while_something_is_transmitted_it_is_said_why_it_takes_a_moment(capsys):
    with pytest.raises(KeyboardInterrupt), hindrances.finishing():
        raise KeyboardInterrupt
    assert "what is being transmitted is finished first" in capsys.readouterr().err


@pytest.mark.parametrize("block", ["interruptible", "resumable"])
def test_another_error_passes_as_it_is(session, campaign, capsys, block):
    with pytest.raises(ZeroDivisionError), getattr(hindrances, block)(session, campaign()):
        _ = 1 / 0
    assert capsys.readouterr().err == ""


# Whom nobody has heard of yet.


def test_the_deferred_wait_until_the_soonest_of_them_is_tried_again(client, session, campaign):
    open_campaign(client)
    ref, _ = enqueue(client, [1, 2, 3])
    claimed = claim(client, ref)
    due = {0: 7200.0, 1: 3600.0}
    settled = [
        Settlement(
            place,
            Status.DEFERRED,
            Detail(
                f"r{place + 1}@example.org", due=time() + wait, code=451, text=f"after {wait:.0f}"
            ),
        )
        for place, wait in due.items()
    ]
    Ledger(client).commit(claimed, settled, (), NOW, NOW + 15)
    said = hindrances.deferred(campaign(), 2)
    assert said.startswith("2 deferred until ")
    assert said.endswith(": 451 after 3600")


def test_of_the_deferred_without_a_time_only_the_number_is_said(client, session, campaign):
    open_campaign(client)
    enqueue(client, [1])
    assert hindrances.deferred(campaign(), 1) == "1 deferred"


def test_the_configuration_of_the_session_is_the_one_that_was_named(session, place):
    assert session.settings.file == load(place / "mailer.toml", {}).file
