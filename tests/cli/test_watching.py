"""`mailer status`, `failures`, `pause`, `resume`, `cancel`: campaigns as operators see them."""

import json
from time import time

import pytest

from mailer.mail.status import Status
from mailer.store.ledger import Ledger, Settlement
from tests.cli.test_going_on import settle


@pytest.fixture
def spring(mailer):
    """A campaign of two, queued; no worker runs."""
    mailer("send", "spring", "-t", "hello", "--set", "season=May", "people.csv")


def test_no_campaigns_says_how_to_begin(mailer):
    assert mailer("status").out.startswith("No campaigns yet: mailer send")


@pytest.mark.usefixtures("spring")
def test_status_of_one_has_the_promised_shape(mailer):
    found = json.loads(mailer("status", "spring", "--json").out)
    assert found["campaign"] == "spring"
    assert found["total"] == 2
    promised = "queued deferred accepted rejected uncertain suppressed cancelled dead".split()  # noqa: SIM905
    assert set(promised) <= set(found["outcomes"])
    assert found["outcomes"]["queued"] == 2
    assert all(isinstance(number, int) for number in found["outcomes"].values())


@pytest.mark.usefixtures("spring")
def test_status_of_all_is_a_table_and_a_json_array(mailer):
    heading, row = mailer("status").out.splitlines()
    assert heading.split()[:4] == ["CAMPAIGN", "STATE", "TOTAL", "QUEUED"]
    assert row.split()[:4] == ["spring", "sending", "2", "2"]
    assert [one["campaign"] for one in json.loads(mailer("status", "--json").out)] == ["spring"]


@pytest.mark.usefixtures("spring")
def test_watching_in_a_pipe_ends_when_all_is_final(mailer):
    mailer("cancel", "spring")
    done = mailer("status", "spring", "--watch", "--json")
    assert [json.loads(line)["outcomes"]["cancelled"] for line in done.out.splitlines()] == [2]


@pytest.mark.usefixtures("spring")
def test_pause_resume_and_cancel_show_in_the_status(mailer):
    def state():
        return json.loads(mailer("status", "spring", "--json").out)["state"]

    assert mailer("pause", "spring").out == "spring: paused; go on with: mailer resume spring\n"
    assert state() == "paused"
    assert mailer("resume", "spring").out == "spring: running\n"
    assert state() == "running"
    done = mailer("cancel", "spring")
    assert done.out == "spring: cancelled, 2 recipients will get nothing\n"
    assert state() == "cancelled"


@pytest.mark.usefixtures("spring")
@pytest.mark.parametrize("command", ["pause", "cancel"])
def test_what_is_over_stays_as_it_is(mailer, client, command):
    settle(client, "spring:1", [Status.ACCEPTED, Status.REJECTED])
    before = mailer("status", "spring", "--json").out
    done = mailer(command, "spring")
    assert (done.code, done.out) == (0, f"campaign 'spring' is over: nothing to {command}\n")
    assert mailer("status", "spring", "--json").out == before


@pytest.mark.usefixtures("spring")
def test_what_was_paused_and_ended_meanwhile_goes_on_and_is_done(mailer, client):
    ledger = Ledger(client)
    claimed = ledger.claim("spring:1", "w1", 1.0, 16.0)
    mailer("pause", "spring")
    both = [Settlement(place, Status.ACCEPTED) for place in range(2)]
    ledger.commit(claimed, both, (), 1.0, 16.0)
    ledger.give_back(claimed, 1.0)
    assert mailer("pause", "spring").code == 0
    assert mailer("resume", "spring").code == 0
    assert json.loads(mailer("status", "spring", "--json").out)["says"] == "done"


def test_where_nobody_sends_there_is_no_rate_and_no_time_left(mailer, client):
    mailer("send", "spring", "-t", "hello", "--set", "season=May", "people.csv")
    settle(client, "spring:1", [Status.ACCEPTED])
    assert " a second, " in mailer("status", "spring").out
    mailer("pause", "spring")
    assert " a second, " not in mailer("status", "spring").out
    assert mailer("status").out.splitlines()[1].split()[-2:] == ["-", "-"]
    found = json.loads(mailer("status", "spring", "--json").out)
    assert (found["rate"], found["time_left"]) == (0, None)


@pytest.mark.parametrize("command", ["pause", "resume", "cancel", "failures"])
def test_unknown_campaign_is_named(mailer, command):
    done = mailer(command, "nosuch")
    assert (done.code, done.err) == (
        1,
        "mailer: no campaign 'nosuch'; `mailer status` lists them\n",
    )


@pytest.mark.usefixtures("spring")
def test_failures_of_nobody_is_said(mailer):
    assert mailer("failures", "spring").out == "spring: nobody failed\n"
    assert mailer("failures", "spring", "--json").out == ""
    assert mailer("failures", "spring", "--csv").out.splitlines() == [
        '"email","outcome","stage","reply","action","rule","attempts","at","next","message_id"'
    ]


def test_failures_in_two_forms_at_once_is_refused(mailer):
    done = mailer("failures", "spring", "--csv", "--json")
    assert (done.code, done.err) == (
        2,
        "mailer: --csv and --json exclude each other; see mailer failures --help\n",
    )


def test_who_is_in_no_batch_is_named_with_what_to_do_and_is_settled_by_it(mailer, client):
    mailer("send", "spring", "-t", "hello", "--set", "season=May", "people.csv")
    client.delete("mailer:batch:spring:1", "mailer:payload:spring:1", "mailer:queued:bulk")
    assert "no batch" not in mailer("status", "spring").out, "it was just queued"
    client.hset("mailer:campaign:spring", "created", time() - 3600)
    assert "2 in no batch" in mailer("status").out
    said = mailer("status", "spring").out
    assert "2 recipients are in no batch" in said
    assert "`mailer cancel spring` settles them" in " ".join(said.split())

    assert "2 recipients" in mailer("cancel", "spring", "--yes").out
    assert "cancelled" in mailer("status", "spring").out
    again = mailer(
        "send",
        "again",
        "-t",
        "hello",
        "--set",
        "season=May",
        "--skip-accepted-of",
        "spring",
        "people.csv",
    )
    assert "0 queued" in again.out, "they may have got it"
