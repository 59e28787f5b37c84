"""`mailer forget` and `mailer erase`, as they are typed."""

import json

import pytest

SEND = ("send", "spring", "-t", "hello", "--set", "season=May", "people.csv")


@pytest.fixture
def over(mailer):
    """A campaign that was cancelled."""
    mailer(*SEND)
    mailer("cancel", "spring")


@pytest.mark.usefixtures("over")
def test_a_campaign_is_forgotten_and_its_name_stays_taken(mailer):
    assert mailer("forget", "spring").out == "spring: forgotten\n"
    assert mailer("status").out.startswith("No campaigns yet")
    again = mailer("forget", "spring")
    assert (again.code, again.err) == (
        1,
        "mailer: no campaign 'spring'; `mailer status --all` lists them\n",
    )
    done = mailer(*SEND)
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "was sent, and forgotten on" in done.err
    assert mailer(*SEND, "--accept-changes").code == 0


def test_what_is_open_is_refused_in_words(mailer):
    mailer(*SEND)
    done = mailer("forget", "spring")
    assert (done.code, done.err) == (
        1,
        (
            "mailer: campaign 'spring' still has 2 recipients open: wait until they are final, "
            "or cancel it first: mailer cancel spring\n"
        ),
    )
    assert json.loads(mailer("status", "spring", "--json").out)["total"] == 2


@pytest.mark.usefixtures("over")
def test_campaigns_are_forgotten_by_age(mailer):
    assert mailer("forget", "--older-than", "1h").out == "nothing is old enough\n"
    assert mailer("forget", "--older-than", "0s").out == "spring: forgotten\n"


@pytest.mark.usefixtures("over")
def test_the_history_forgets_it_too(mailer, place):
    file = place / "mailer.toml"
    file.write_text(file.read_text() + f'[history]\nurl = "sqlite:///{place}/history.db"\n')
    mailer("history", "upgrade")
    done = mailer("forget", "spring", "--history")
    assert done.out == "spring: forgotten; the history forgot 0 messages\n"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "say which: NAME…, or --older-than AGE"),
        (("spring", "--older-than", "9d"), "say which: NAME…, or --older-than AGE"),
        (("--older-than", "soon"), "Invalid value for '--older-than'"),
    ],
)
def test_which_ones_must_be_said(mailer, words, complaint):
    done = mailer("forget", *words)
    assert done.code == 2
    assert done.err.startswith(f"mailer: {complaint}")


def test_a_person_is_erased(mailer):
    mailer(*SEND)
    mailer("suppress", "add", "ada@example.org")
    done = mailer("erase", "ada@example.org")
    assert done.code == 0
    heading, row, note = done.out.splitlines()
    assert heading.split("  ")[0] == "ERASED FROM"
    assert row.split() == ["queued,", "and", "cancelled", "spring", "1"]
    assert note == "The address stays on the suppression list, so that it gets no mail."
    again = json.loads(mailer("erase", "ada@example.org", "--json").out)
    assert again == {"found": [], "suppressed": True, "again": []}


def test_nobody_is_found(mailer):
    assert mailer("erase", "eve@example.org").out == "nothing was found\n"
    done = mailer("erase", "eve")
    assert (done.code, "'eve' is no address: " in done.err) == (2, True)
