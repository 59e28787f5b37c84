"""`mailer accounts check` and `mailer lint`: what receivers would say, told at the terminal."""

import json

import pytest

from tests.servers.name_server import NameServer
from tests.servers.scripted import ScriptedServer

RIGHT = {
    "shop.example": ["v=spf1 ip4:192.0.2.1 -all"],
    "_dmarc.shop.example": ["v=DMARC1; p=none; rua=mailto:d@shop.example"],
}


@pytest.fixture
def account(place):
    with ScriptedServer({"news": "right"}) as server:
        (place / "password").write_text("right\n")
        (place / "password").chmod(0o600)
        (place / "mailer.toml").write_text(
            'sender = "Shop <news@shop.example>"\n'
            f'[accounts.primary]\nurl = "smtp://news@127.0.0.1:{server.port}"\n'
            'password_file = "password"\n'
        )
        yield


def test_what_receivers_would_refuse_is_an_exit_code_only_if_asked(mailer, account):
    with NameServer({}) as names:
        asked = ("accounts", "check", "--nameserver", names.place)
        done = mailer(*asked)
        assert done.code == 0
        assert "error    spf: shop.example has no SPF record; receivers say Gmail" in done.out
        strict = mailer(*asked, "--strict", "--json")
        assert (strict.code, strict.err) == (
            1,
            "mailer: receivers would refuse mail of primary\n",
        )
        rules = {one["rule"]: one["level"] for one in json.loads(strict.out)[0]["receivers"]}
        assert rules == {
            "spf": "error",
            "dmarc": "error",
            "dkim-here": "advice",
            "one-click": "advice",
        }


def test_nothing_is_refused_where_all_is_right(mailer, account):
    with NameServer(RIGHT) as names:
        done = mailer("accounts", "check", "--strict", "--nameserver", names.place)
    assert (done.code, "error" in done.out) == (0, False)


def test_what_could_not_be_asked_is_no_fault(mailer, account):
    done = mailer("accounts", "check", "--strict")
    assert done.code == 0
    assert "unknown  spf: could not ask for shop.example" in done.out


def test_a_nameserver_that_is_none_is_named(mailer, account):
    done = mailer("accounts", "check", "--nameserver", "dns")
    assert (done.code, "no IP address" in done.err) == (1, True)


def test_lint_sees_keys_of_another_domain(mailer, place):
    with (place / "mailer.toml").open("a") as settings:
        settings.write(
            '[[accounts.primary.dkim]]\ndomain = "esp.example"\nselector = "s"\nkey_file = "k"\n'
        )
    done = mailer("lint", "hello", "--set", "season=May", "--set", "name=Ada", "--json")
    found = {one["rule"]: one for one in json.loads(done.out)}
    assert found["dkim-alignment"]["level"] == "warning"
    assert "From is of shop.example, and DKIM signs for esp.example" in str(found)
    assert {"list-id", "feedback-id"} <= set(found)
