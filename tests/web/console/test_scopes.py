"""Which mail somebody gets no more: seen, looked for, set and taken back in the console."""

import csv
import io
import json

import pytest

from mailer.operate.barring import suppression
from mailer.store import keys
from tests.web.console.conftest import note_of
from tests.web.console.test_suppression import PAGE, act, addresses

LIST = "news.shop.example"


def entries(settings):
    found = suppression.entries(settings=settings)
    return {(one.mailbox, one.scope): one for one in found}


def shown(console, **query):
    text = console.operator.get(PAGE, params=query).text
    return {one for one in ("ada@x.example", "bob@x.example", "eve@x.example") if one in text}


@pytest.fixture
def people(settings):
    """One on the list for all mail, one for bulk, one for a list."""
    suppression.add("ada@x.example", reason="complaint", settings=settings)
    suppression.add("bob@x.example", reason="asked by phone", scope="bulk", settings=settings)
    suppression.add("eve@x.example", reason="unsubscribe", scope=LIST, settings=settings)


def test_one_is_put_on_for_some_mail_until_a_date(console, settings):
    fields = {"address": "ada@x.example", "scope": f"News <{LIST}>", "until": "2099-05-01"}
    said = act(console, "add", **fields, reason="on parental leave")
    assert f"on the list for {LIST}, until 01 May 2099" in said
    (one,) = entries(settings).values()
    assert (one.scope, one.until) == (LIST, 4_081_276_800)
    text = console.operator.get(PAGE).text
    assert LIST in text
    assert "on parental leave" in text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"scope": "news"}, "write all, bulk, or a List-ID"),
        ({"until": "tomorrow"}, "give a date"),
        ({"until": "2001-01-01"}, "that time is over"),
    ],
)
def test_what_is_no_scope_and_no_time_to_come_changes_nothing(console, settings, fields, words):
    assert words in act(console, "add", address="ada@x.example", **fields)
    assert addresses(settings) == set()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, {"ada@x.example", "bob@x.example", "eve@x.example"}),
        ({"scope": "bulk"}, {"bob@x.example"}),
        ({"scope": LIST}, {"eve@x.example"}),
        ({"reason": "PHONE"}, {"bob@x.example"}),
        ({"address": "eve@x.example"}, {"eve@x.example"}),
        ({"reason": "nobody said so"}, set()),
    ],
)
def test_the_list_is_searched_by_scope_reason_and_address(console, people, query, expected):
    assert shown(console, **query) == expected


def test_one_entry_of_somebody_is_taken_off_and_the_others_stay(console, settings, people):
    suppression.add("eve@x.example", scope="bulk", settings=settings)
    said = act(console, "remove", address="eve@x.example", scope=LIST)
    assert f"off the list of {LIST}" in said
    assert ("eve@x.example", "bulk") in entries(settings)
    assert ("eve@x.example", LIST) not in entries(settings)


def test_a_file_of_another_mailer_and_one_of_ours_are_read_in_with_what_they_say(console, settings):
    exported = "email,status,reason,created\nada@x.example,5.1.1,550 no such user,1700000000\n"
    assert "1 address added" in act(console, "import", addresses=exported)
    ours = f"email,reason,scope,until\nbob@x.example,left,{LIST},2099-01-01T00:00:00Z\n"
    assert "1 address added" in act(console, "import", addresses=ours, scope="bulk")
    act(console, "import", addresses="eve@x.example\n", scope="bulk", reason="asked")
    found = entries(settings)
    assert found["ada@x.example", "all"].source == "sendgrid"
    assert found["bob@x.example", LIST].until == 4_070_908_800
    assert found["eve@x.example", "bulk"].reason == "asked"


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_what_is_exported_is_all_that_is_known_and_is_read_in_again(
    console, settings, people, client, form
):
    before = entries(settings)
    text = console.viewer.get(f"{PAGE}/export.{form}").text
    rows = (
        map(json.loads, text.splitlines()) if form == "jsonl" else csv.DictReader(io.StringIO(text))
    )
    assert {(row["email"], row["scope"]) for row in rows} == before.keys()
    client.flushall()
    console.app.state.form_key = b"", -1e9
    token_page = console.operator.get(PAGE).text
    assert "Nobody is suppressed" in token_page
    answer = console.press(f"{PAGE}/import", PAGE, addresses=text)
    assert "3 addresses added" in note_of(console.operator, answer)
    after = entries(settings)
    assert {key: one.reason for key, one in after.items()} == {
        key: one.reason for key, one in before.items()
    }


def test_a_form_that_nobody_knows_is_none(console):
    assert console.viewer.get(f"{PAGE}/export.exe").status_code == 400


def test_who_is_over_is_not_shown(console, settings, client):
    suppression.add("ada@x.example", until=4e9, settings=settings)
    client.zadd(
        keys.SUPPRESSED_UNTIL, dict.fromkeys(client.zrange(keys.SUPPRESSED_UNTIL, 0, -1), 1)
    )
    assert shown(console) == set()
    text = console.operator.get(PAGE, params={"address": "ada@x.example"}).text
    assert "ada@x.example is not on the list" in text


def test_a_search_by_scope_passes_no_entries_for_all_mail(console, settings, people):
    many = [f"r{n}@y.example" for n in range(3000)]
    suppression.add(many, reason="left", settings=settings)
    text = console.operator.get(PAGE, params={"scope": LIST}).text
    assert "eve@x.example" in text
    assert "Further" not in text
    suppression.add("eve@x.example", reason="complaint", settings=settings)
    assert shown(console, scope=LIST) == {"eve@x.example"}
