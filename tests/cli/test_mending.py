"""`mailer accounts` and `mailer dead`: a wrong password, seen, mended and replayed from the shell."""

import json

import pytest

from tests.servers.scripted import ScriptedServer

pytestmark = pytest.mark.timeout(600)

LOCAL = ("--local", ".mailer")
RUN = ("run", "spring", "-t", "hello", "--set", "season=May", "people.csv", "--json")


@pytest.fixture
def server():
    with ScriptedServer({"news": "right"}) as running:
        yield running


@pytest.fixture
def place(place, server):
    (place / "password").write_text("wrong\n")
    (place / "mailer.toml").write_text(
        'sender = "Shop <news@shop.example>"\n'
        f'[accounts.primary]\nurl = "smtp://news@127.0.0.1:{server.port}"\n'
        'password_file = "password"\n'
    )
    return place


def test_wrong_password_is_seen_mended_and_replayed_once(mailer, place, server):
    stopped = json.loads(mailer(*RUN).out)
    assert stopped["outcomes"]["dead"] == 2
    assert (server.refused["news"], server.logins["news"]) == (1, 0)

    (account,) = json.loads(mailer(*LOCAL, "accounts", "list", "--json").out)
    assert (account["state"], account["reason"], account["dead"]) == ("stopped", "auth", 2)
    assert account["reply"].startswith("535 5.7.8")

    (letter,) = json.loads(mailer(*LOCAL, "dead", "list", "--reason", "auth", "--json").out)
    assert (letter["account"], letter["campaign"], letter["messages"]) == ("primary", "spring", 2)
    shown = mailer(*LOCAL, "dead", "show", letter["id"]).out
    assert "RCPT TO:<ada@example.org>" in shown
    assert "Subject: Hello Ada" in shown
    assert "Dear Ada" not in shown

    refused = mailer(*LOCAL, "dead", "replay")
    assert (refused.code, refused.err) == (
        1,
        (
            "mailer: 1 dead letter stayed, for the account is stopped: "
            "mailer --local .mailer accounts start primary, or --through another\n"
        ),
    )
    still_wrong = mailer(*LOCAL, "accounts", "start", "primary")
    assert still_wrong.code == 1
    assert still_wrong.err.startswith("mailer: primary stays as it was: AUTH: 535 5.7.8")

    (place / "password").write_text("right\n")
    started = mailer(*LOCAL, "accounts", "start", "primary")
    assert started.code == 0, started.err
    assert started.out.splitlines() == [
        "primary: logged in, and runs again",
        (
            "2 messages lie among the dead letters: "
            "mailer --local .mailer dead replay --account primary"
        ),
    ]
    replayed = mailer(*LOCAL, "dead", "replay", "--account", "primary")
    assert replayed.out == "1 dead letter: 2 messages queued again\n"
    assert mailer(*LOCAL, "dead", "replay").out == "nothing to do\n"

    done = json.loads(mailer(*RUN).out)
    assert done["outcomes"]["accepted"] == 2
    assert sorted(server.mailboxes()) == ["ada@example.org", "bob@example.org"]
    assert server.refused["news"] == 2


def test_purged_recipients_stay_countable(mailer):
    mailer(*RUN)
    asked = mailer(*LOCAL, "dead", "purge")
    assert asked.code == 2
    assert "Purge 1 dead letter with 2 messages? Say --yes" in asked.err
    assert mailer(*LOCAL, "dead", "purge", "--yes").out == "1 dead letter: 2 messages dropped\n"
    assert mailer(*LOCAL, "dead", "list").out == "No dead letters.\n"
    found = json.loads(mailer(*LOCAL, "status", "spring", "--json").out)
    assert found["outcomes"]["dropped"] == 2


def test_check_says_what_the_server_offers_and_sends_nothing(mailer, place, server):
    (place / "password").write_text("right\n")
    done = mailer("accounts", "check", "--verbose")
    assert done.code == 0
    assert f"primary: 127.0.0.1:{server.port}: logged in with PLAIN" in done.out
    assert "S: 220 " in done.out
    assert "C: EHLO" in done.out
    assert "8BITMIME" in done.out
    assert "right" not in done.out
    found = json.loads(mailer("accounts", "check", "primary", "--json").out)[0]
    assert (found["ok"], found["mechanism"], found["tls"]) == (True, "PLAIN", None)
    assert server.taken == []


def test_check_of_a_wrong_password_is_one_login_and_changes_nothing(mailer, server):
    done = mailer("accounts", "check")
    assert (done.code, done.err) == (1, "mailer: primary cannot be used\n")
    assert "AUTH: 535 5.7.8" in done.out
    assert "auth_fail" in done.out
    assert (server.refused["news"], server.logins["news"]) == (1, 0)


def test_check_of_a_server_that_is_down_says_so(mailer, place):
    (place / "mailer.toml").write_text(
        '[accounts.a]\nurl = "smtp://127.0.0.1:1"\n[accounts.b]\nurl = "smtp://no-such.localhost:1"\n'
    )
    done = mailer("accounts", "check")
    assert (done.code, done.err) == (1, "mailer: a, b cannot be used\n")
    assert "a: 127.0.0.1:1: connect: connection refused" in done.out


def test_missing_secret_is_named_by_its_key(mailer, place):
    (place / "password").unlink()
    done = mailer("accounts", "check")
    assert done.code == 1
    assert "accounts.primary.password_file: cannot read" in done.out + done.err


def test_stop_and_start_by_hand(mailer, place, redis_url):
    (place / "password").write_text("right\n")
    redis = {"MAILER_REDIS": redis_url}
    done = mailer("accounts", "stop", "primary", environ=redis)
    assert done.out == "primary: stopped; go on with: mailer accounts start primary\n"
    (account,) = json.loads(mailer("accounts", "list", "--json", environ=redis).out)
    assert (account["state"], account["reason"]) == ("stopped", "operator")
    assert mailer("accounts", "start", "primary", environ=redis).code == 0
    (account,) = json.loads(mailer("accounts", "list", "--json", environ=redis).out)
    assert account["state"] in ("running", "unknown")
