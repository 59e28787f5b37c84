"""A campaign's design: its own values over those of the configuration, and what is refused."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from mailer.compose import Attachment, Unsubscribe
from mailer.config import RetryTable, Settings
from mailer.errors import ConfigError, InputError
from mailer.mail.recipients import BrokenRow
from mailer.produce.design import (
    aware,
    checked_window,
    design,
    recipient,
    retry_overrides,
    summary,
)

SECRET = {"secret_env": "MAIL_SECRET"}
SHOP = "Shop <news@shop.example>"
DURATION = 'must be seconds or a duration such as "90s", "15m", "2h", "5d"'


@pytest.fixture(autouse=True)
def _secret(monkeypatch):
    monkeypatch.setenv("MAIL_SECRET", "a secret of sixteen")


def made(settings=None, sender=None, account="primary", **rest):
    return design(Settings(**(settings or {})), "spring", "news", sender, account, **rest)


# Who sends.


@pytest.mark.parametrize(
    ("given", "of_account", "of_all", "sends"),
    [
        ("a@x.example", "b@x.example", "c@x.example", "a@x.example"),
        (None, "b@x.example", "c@x.example", "b@x.example"),
        (None, None, "c@x.example", "c@x.example"),
        ("", "b@x.example", None, "b@x.example"),
    ],
)
def test_the_nearest_sender_counts(given, of_account, of_all, sends):
    accounts = {"primary": {"the title of the table": "primary", "url": "smtp://localhost"}}
    accounts["primary"]["sender"] = of_account
    settings = {"accounts": accounts, "sender": of_all}
    assert made(settings, given).sender == sends


def test_without_any_sender_it_is_said_where_to_set_one():
    with pytest.raises(ConfigError, match=r"no sender: pass sender, or set it in mailer\.toml"):
        made()


# What the configuration adds.


def test_bulk_mail_gets_the_configured_way_off_the_list():
    unsubscribe = {"url": "https://shop.example/u/{token}", "mailto": "off@shop.example", **SECRET}
    settings = {"sender": SHOP, "list_id": "news.shop.example", "unsubscribe": unsubscribe}
    bulk = made(settings)
    assert bulk.unsubscribe == Unsubscribe("https://shop.example/u/{token}", "off@shop.example")
    assert (bulk.list_id, bulk.secret) == ("news.shop.example", "a secret of sixteen")
    single = made(settings, bulk=False)
    assert (single.unsubscribe, single.list_id, single.secret) == (None, None, None)


def test_a_campaigns_own_way_off_the_list_goes_before():
    own = Unsubscribe("https://other.example/u?e={email}")
    settings = {"sender": SHOP, "unsubscribe": {"mailto": "off@shop.example"}, "list_id": "a.b"}
    found = made(settings, unsubscribe=own, list_id="own.list")
    assert (found.unsubscribe, found.list_id) == (own, "own.list")


@pytest.mark.parametrize(
    ("configured", "one_click"),
    [
        ({"url": "https://s.example/{token}", **SECRET}, True),
        ({"url": "https://s.example/{token}", "one_click": False, **SECRET}, False),
        ({"url": "http://s.example/{token}", "one_click": False, **SECRET}, False),
        ({"mailto": "off@s.example"}, False),
    ],
)
def test_one_click_is_announced_where_the_page_takes_a_post(configured, one_click):
    found = made({"sender": SHOP, "unsubscribe": configured})
    assert found.unsubscribe is not None
    assert found.unsubscribe.is_one_click is one_click


def test_the_page_that_mailer_serves_is_the_way_where_no_other_is_configured():
    settings = {"sender": SHOP, "web": {"url": "https://mail.shop.example/"}}
    assert made(settings).unsubscribe is None, "without a key, nobody could read the tokens"
    found = made({**settings, "feedback": SECRET}).unsubscribe
    assert found == Unsubscribe("https://mail.shop.example/u/{token}")


@pytest.mark.parametrize(
    ("feedback", "return_path", "verp"),
    [
        ({}, None, False),
        ({"return_path": "b@s.example"}, "b@s.example", False),
        ({"return_path": "b@s.example", **SECRET}, "b@s.example", True),
        (SECRET, None, False),
    ],
)
def test_bounces_go_where_the_configuration_says_and_are_signed_with_a_secret(
    feedback, return_path, verp
):
    for bulk in (True, False):
        found = made({"sender": SHOP, "feedback": feedback}, bulk=bulk)
        assert (found.return_path, found.verp) == (return_path, verp)


def test_what_a_campaign_says_of_bounces_goes_before():
    settings = {"sender": SHOP, "feedback": {"return_path": "b@s.example", **SECRET}}
    found = made(settings, return_path="own@s.example", verp=False, secret="own")
    assert (found.return_path, found.verp, found.secret) == ("own@s.example", False, "own")


# Retry values.


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({}, {}),
        ({"attempts": 3}, {"attempts": 3}),
        ({"first_delay": 5}, {"first_delay": 5.0}),
        ({"first_delay": "5m", "max_delay": "1h 30m"}, {"first_delay": 300.0, "max_delay": 5400.0}),
        ({"give_up_after": "2d"}, {"give_up_after": 172_800.0}),
        ({"jitter": 0, "factor": 1}, {"jitter": 0.0, "factor": 1.0}),
    ],
)
def test_a_campaigns_own_retry_values_are_read_as_the_configurations(given, read):
    assert retry_overrides(given) == read


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"attempts": 0}, "retry: attempts: must be ≥ 1, got 0"),
        ({"attempts": 2.5}, "retry: attempts: must be a whole number, got 2.5"),
        ({"attempts": True}, "retry: attempts: must be a whole number, got true"),
        ({"attempts": "many"}, "retry: attempts: must be a whole number, got 'many'"),
        ({"jitter": 1.5}, "retry: jitter: must be ≤ 1, got 1.5"),
        ({"factor": float("inf")}, "retry: factor: must be ≤ 1000, got inf"),
        ({"first_delay": -1}, "retry: first_delay: must be > 0, got -1"),
        (
            {"max_delay": "soon"},
            f"retry: max_delay: {DURATION}, got 'soon'",
        ),
        (
            {"attempts": 0, "jitter": 2},
            "retry: jitter: must be ≤ 1, got 2\nretry: attempts: must be ≥ 1, got 0",
        ),
        ({"attempt": 3}, "retry: unknown key 'attempt'; did you mean 'attempts'?"),
        (
            {"patience": 3},
            f"retry: unknown key 'patience'; known: {', '.join(RetryTable.model_fields)}",
        ),
    ],
)
def test_a_retry_value_that_cannot_be_used_is_named_with_what_may_stand_there(given, said):
    with pytest.raises(InputError) as caught:
        retry_overrides(given)
    assert str(caught.value) == said


# Times.


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=5, minutes=30))])
def test_a_start_with_its_zone_is_taken(zone):
    start = datetime(2026, 3, 1, 9, 30, tzinfo=zone)
    assert aware(start) is start


def test_a_start_without_a_zone_is_refused_with_how_to_say_one():
    with pytest.raises(InputError, match=r"no time zone: .* datetime\.now\(\)\.astimezone\(\)"):
        aware(datetime(2026, 3, 1, 9, 30))  # noqa: DTZ001 - refused


@pytest.mark.parametrize("text", [None, "08:00-18:00 UTC", "Mon-Fri 08:00-18:00 Europe/Berlin"])
def test_hours_that_can_be_read_are_taken_as_they_are(text):
    assert checked_window(text) == text


@pytest.mark.parametrize("text", ["", "whenever", "08:00-18:00 Mars/Olympus", "25:00-26:00 UTC"])
def test_hours_that_cannot_be_read_are_refused(text):
    with pytest.raises(InputError, match=r"^window: "):
        checked_window(text)


# One row, and what is shown.


def test_a_single_row_becomes_a_recipient_or_says_why_not():
    assert recipient({"email": "Ada <ada@example.org>", "name": "Ada"}).mailbox == "ada@example.org"
    for row, reason in (
        ({"email": "nobody"}, "must have an @-sign"),
        ({"name": "Ada"}, "no email"),
    ):
        with pytest.raises(InputError, match=reason):
            recipient(row)
    with pytest.raises(InputError, match="line 3 is cut"):
        recipient(BrokenRow("line 3 is cut"))


def test_a_summary_changes_with_what_it_is_made_of_and_holds_no_value_of_the_context():
    first = made({"sender": SHOP}, context={"code": "hunter2"}, headers={"X-A": "1"})
    same = made({"sender": SHOP}, context={"code": "hunter2"}, headers={"X-A": "1"})
    assert summary(first, "primary") == summary(same, "primary")
    assert "hunter2" not in repr(summary(first, "primary"))
    terms = Attachment.from_bytes(b"x", "terms.pdf")
    for change in (
        {"context": {"code": "other"}},
        {"headers": {"X-A": "2"}},
        {"reply_to": "b@x.example"},
        {"attachments": (terms,)},
        {"sender": "c@x.example"},
    ):
        values = {"context": {"code": "hunter2"}, "headers": {"X-A": "1"}, **change}
        assert summary(made({"sender": SHOP}, **values), "primary") != summary(first, "primary")
    assert summary(first, "backup") != summary(first, "primary")
