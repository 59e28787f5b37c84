"""`mailer status`, `failures`, `pause`, `resume`, `cancel`: campaigns as operators see them."""

import json

import pytest


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
