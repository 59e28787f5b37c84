"""`mailer dead`: which letters the filters mean, what is shown of one, and what becomes of each."""

import json
from time import time

import pytest

from mailer.mail.said import Said
from mailer.mail.status import Status
from mailer.store import keys
from mailer.store.breaker import OPERATOR, Breaker
from mailer.store.campaigns import CANCELLED, Campaigns
from mailer.store.dead_letters import REASONS, DeadLetters
from mailer.store.ledger import Burial, Ledger
from tests.store.batches import claim, enqueue, open_campaign, outcomes

HOUR = 3600.0
BAD_PASSWORD = Said(
    "AUTH", 535, "5.7.8", "bad password", "stop", "credentials", dialogue=("C: AUTH", "S: 535")
)


def bury(client, identifier, *, campaign="spring", account="primary", reason="auth", age=0.0, of=2):
    """A dead letter *identifier* of so many messages, that is *age* seconds old."""
    if campaign not in Campaigns(client).names():
        open_campaign(client, campaign)
    first = Campaigns(client).progress(campaign, time()).total + 1
    ref, _ = enqueue(client, range(first, first + of), campaign, account=account)
    claimed = claim(client, ref)
    burial = Burial(identifier, Status.DEAD, reason, BAD_PASSWORD.encode(), claimed.positions)
    assert Ledger(client).bury(claimed, burial, time() - age) == of


@pytest.fixture
def accounts(place):
    """Two accounts are configured; ``old`` is not any more."""
    with (place / "mailer.toml").open("a") as file:
        file.write('[accounts.backup]\nurl = "smtp://localhost:1"\n')


@pytest.fixture
def letters(client, accounts):
    bury(client, "d1", reason="auth", age=3 * HOUR)
    bury(client, "d2", reason="exhausted", age=2 * HOUR, of=3)
    bury(client, "d3", reason="auth", account="old", campaign="winter", age=HOUR, of=1)
    bury(client, "d4", reason="uncertain", account="backup", campaign="winter")


def listed(mailer, *words):
    return [one["id"] for one in json.loads(mailer("dead", "list", "--json", *words).out)]


# Looking.


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ((), ["d1", "d2", "d3", "d4"]),
        (("--reason", "auth"), ["d1", "d3"]),
        (("--reason", "poison"), []),
        (("--account", "primary"), ["d1", "d2"]),
        (("--account", "old"), ["d3"]),
        (("--campaign", "winter"), ["d3", "d4"]),
        (("--older-than", "90m"), ["d1", "d2"]),
        (("--newer-than", "90m"), ["d3", "d4"]),
        (("--older-than", "30m", "--newer-than", "150m"), ["d2", "d3"]),
        (("--reason", "auth", "--campaign", "winter"), ["d3"]),
        (("--reason", "auth", "--account", "primary", "--newer-than", "1h"), []),
    ],
)
def test_the_filters_mean_the_letters_that_fit_all_of_them(mailer, letters, words, found):
    assert listed(mailer, *words) == found


def test_a_list_without_letters_says_whether_any_were_looked_for(mailer, client):
    assert mailer("dead", "list").out == "No dead letters.\n"
    bury(client, "d1")
    assert mailer("dead", "list", "--campaign", "autumn").out == "No such dead letters.\n"
    assert mailer("dead", "list", "--campaign", "autumn", "--json").out.strip() == "[]"


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_can_be_looked_for(mailer, client, reason):
    bury(client, "d1", reason=reason)
    assert listed(mailer, "--reason", reason) == ["d1"]
    line = mailer("dead", "list").out
    assert reason in line
    assert "AUTH: 535 5.7.8 bad password" in " ".join(line.split())


def test_one_letter_is_shown_with_its_dialogue_and_its_messages_headers(mailer, client):
    bury(client, "d1", of=7)
    shown = mailer("dead", "show", "d1").out
    for words in ("reason: auth", "messages: 7", "reply: 535 5.7.8 bad password", "C: AUTH"):
        assert words in shown
    assert shown.count("MAIL FROM:<news@shop.example>  RCPT TO:<") == 5
    assert "RCPT TO:<r1@example.org>" in shown
    assert shown.count("  Subject: hello") == 5
    assert shown.rstrip().endswith("… and 2 messages more (--all)")


def test_with_all_every_message_is_shown_and_no_more_are_promised(mailer, client):
    bury(client, "d1", of=7)
    shown = mailer("dead", "show", "d1", "--all").out
    assert shown.count("RCPT TO:<") == 7
    assert "--all" not in shown


def test_as_json_it_is_the_same_for_programs(mailer, client):
    bury(client, "d1")
    (listed_one,) = json.loads(mailer("dead", "list", "--json").out)
    shown = json.loads(mailer("dead", "show", "d1", "--json").out)
    assert {key: shown[key] for key in listed_one} == listed_one
    assert shown["dialogue"] == ["C: AUTH", "S: 535"]
    assert [one["to"] for one in shown["heads"]] == ["r1@example.org", "r2@example.org"]
    assert shown["heads"][0]["headers"] == [["Subject", "hello"]]


def test_a_letter_whose_messages_cannot_be_read_is_shown_without_them(mailer, client):
    bury(client, "d1")
    client.set(keys.dead_payload("d1"), b"junk")
    shown = mailer("dead", "show", "d1")
    assert shown.code == 0
    assert "its messages cannot be read" in shown.err
    assert "reason: auth" in shown.out
    assert "RCPT TO" not in shown.out


# Moving.


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (("d1",), ["d2", "d3", "d4"]),
        (("d1", "d4"), ["d2", "d3"]),
        (("--reason", "exhausted"), ["d1", "d3", "d4"]),
        (("--campaign", "winter"), ["d1", "d2"]),
        (("--older-than", "30m"), ["d4"]),
        ((), []),
    ],
)
@pytest.mark.parametrize("command", ["replay", "purge"])
def test_exactly_the_letters_that_are_meant_are_moved(mailer, letters, command, words, left):
    sure = ("--yes",) if command == "purge" else ()
    ran = mailer("dead", command, *words, *sure)
    assert ran.code == 0, ran.err
    assert listed(mailer) == left


def test_what_was_replayed_is_queued_and_what_was_purged_is_dropped(mailer, client, letters):
    ran = mailer("dead", "replay", "d1")
    assert ran.out == "1 dead letter: 2 messages queued again\n"
    assert outcomes(client, "spring") == {"queued": 2, "dead": 3}
    ran = mailer("dead", "purge", "d2")
    assert ran.out == "1 dead letter: 3 messages dropped\n"
    assert outcomes(client, "spring") == {"queued": 2, "dropped": 3}
    assert mailer("dead", "replay", "--campaign", "spring").out == "nothing to do\n"


@pytest.mark.parametrize("command", ["replay", "purge"])
def test_ids_and_filters_exclude_each_other(mailer, letters, command):
    ran = mailer("dead", command, "d1", "--reason", "auth")
    assert ran.code == 2
    assert "name ids or filter, not both" in ran.err
    assert listed(mailer) == ["d1", "d2", "d3", "d4"]


@pytest.mark.parametrize("command", ["replay", "purge"])
def test_one_id_that_is_not_there_stops_all(mailer, letters, command):
    ran = mailer("dead", command, "d1", "nosuch")
    assert ran.code == 1
    assert "no dead letter 'nosuch'" in ran.err
    assert listed(mailer) == ["d1", "d2", "d3", "d4"]


def test_without_a_terminal_a_purge_by_filter_wants_to_be_sure(mailer, letters):
    ran = mailer("dead", "purge", "--campaign", "winter")
    assert ran.code == 2
    said = " ".join(ran.err.split())
    assert "Purge 2 dead letters with 3 messages? Say --yes to do it without being asked" in said
    assert listed(mailer) == ["d1", "d2", "d3", "d4"]


def test_letters_of_a_stopped_account_stay_and_it_is_said_what_to_do(mailer, client, letters):
    Breaker(client).stop("primary", OPERATOR, time())
    ran = mailer("dead", "replay")
    assert ran.code == 1
    assert "2 dead letters: 3 messages queued again" in ran.out
    said = " ".join(ran.err.split())
    assert (
        "2 dead letters stayed, for the account is stopped: mailer accounts start primary" in said
    )
    assert listed(mailer) == ["d1", "d2"]


def test_letters_of_a_cancelled_campaign_stay(mailer, client, letters):
    Campaigns(client).set_state("winter", CANCELLED)
    ran = mailer("dead", "replay")
    assert ran.code == 1
    assert "2 dead letters stayed: campaign 'winter' is cancelled" in " ".join(ran.err.split())
    assert listed(mailer) == ["d3", "d4"]
    assert mailer("dead", "purge", "--campaign", "winter", "--yes").code == 0
    assert listed(mailer) == []


def account_of(client, campaign):
    """The accounts of a campaign's queued batches."""
    found = (client.hget(key, "account") for key in client.scan_iter(f"mailer:batch:{campaign}:*"))
    return {account.decode() for account in found if account}


@pytest.mark.parametrize(
    "words",
    [
        ("--campaign", "winter", "--through", "primary"),
        ("--account", "old", "--through", "primary"),
        ("d3", "--account", "primary"),
    ],
)
def test_another_account_can_send_them(mailer, client, letters, words):
    ran = mailer("dead", "replay", *words)
    assert ran.code == 0, ran.err
    assert account_of(client, "winter") == {"primary"}


def test_an_account_without_letters_sends_those_of_all_others(mailer, client, accounts):
    bury(client, "d1", account="old")
    bury(client, "d2", account="older", campaign="winter")
    ran = mailer("dead", "replay", "--account", "backup")
    assert ran.out == "2 dead letters: 4 messages queued again\n"
    assert account_of(client, "spring") == account_of(client, "winter") == {"backup"}


@pytest.mark.parametrize(
    "words",
    [
        ("--account", "bakcup"),
        ("d1", "--account", "bakcup"),
        ("d1", "--through", "bakcup"),
    ],
)
def test_an_account_that_nobody_has_is_a_slip_and_moves_nothing(mailer, letters, words):
    ran = mailer("dead", "replay", *words)
    assert ran.code == 1
    assert "did you mean 'backup'?" in ran.err
    assert listed(mailer) == ["d1", "d2", "d3", "d4"]


def test_another_sender_is_checked_before_anything_moves(mailer, client, letters):
    ran = mailer("dead", "replay", "d1", "--edit-sender", "nobody")
    assert ran.code == 1
    assert "sender 'nobody' is no mailbox" in ran.err
    assert len(DeadLetters(client)) == 4


def test_in_another_name_a_letter_that_cannot_be_read_stays(mailer, client, letters):
    client.set(keys.dead_payload("d1"), b"junk")
    ran = mailer("dead", "replay", "d1", "--edit-sender", "Shop <new@shop.example>")
    assert ran.code == 1
    assert "1 dead letter stayed: their messages cannot be changed" in ran.err
    assert listed(mailer) == ["d1", "d2", "d3", "d4"]
