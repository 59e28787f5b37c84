"""The suppression list in the console: looked for, changed, read in and written out."""

import csv
import io
import re

import pytest

from mailer.mail.recipients import read_rows
from mailer.operate import audit
from mailer.operate.barring import suppression
from mailer.store import Store
from tests.web.console.conftest import note_of, token_of

PAGE = "/console/suppression"
MARKUP = "<script>alert(1)</script>"


def act(console, what, **fields):
    return note_of(console.operator, console.press(f"{PAGE}/{what}", PAGE, **fields))


def addresses(settings):
    return {one.mailbox for one in suppression.entries(settings=settings)}


def test_an_address_is_put_on_found_and_taken_off(console, settings):
    assert "Nobody is suppressed" in console.operator.get(PAGE).text
    said = act(console, "add", address="Ada@Example.ORG", reason="asked by phone", days="30")
    assert "is on the list" in said
    assert "already" in act(console, "add", address="ada@example.org", days="30")
    text = console.operator.get(f"{PAGE}?address=ADA@example.org").text
    assert "asked by phone" in text
    (one,) = suppression.find("ada@example.org", settings=settings)
    assert one.until is not None
    assert 29 * 86400 < one.until - one.since < 31 * 86400
    assert "not on the list" in console.operator.get(f"{PAGE}?address=bob@example.org").text
    assert "off the list" in act(console, "remove", address="ada@example.org")
    assert "is not on the list" in act(console, "remove", address="ada@example.org")
    assert addresses(settings) == set()
    deeds = [(one.what, one.about, one.ok) for one in audit.newest(settings, 9)]
    assert deeds[0] == ("unsuppress", "ada@example.org", False)
    assert ("suppress", "Ada@Example.ORG asked by phone", True) in deeds


@pytest.mark.parametrize("address", ["", "nobody", "a@b@c", MARKUP])
def test_what_is_no_address_is_an_error_in_words(console, settings, address):
    act(console, "add", address=address)
    act(console, "remove", address=address)
    assert console.operator.get(PAGE, params={"address": address}).status_code == 200
    assert addresses(settings) == set()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a@x.example\nb@x.example\n", {"a@x.example", "b@x.example"}),
        ("email;reason\na@x.example;left\n", {"a@x.example"}),
        ('{"email": "a@x.example"}\n', {"a@x.example"}),
        ("\ufeffemail\na@x.example\nnobody\n", {"a@x.example"}),
    ],
)
def test_a_list_is_read_in_however_it_comes(console, settings, text, expected):
    said = act(console, "import", addresses=text)
    assert f"{len(expected)} address" in said
    assert addresses(settings) == expected
    assert ("1 row left out" in said) == ("nobody" in text)


def test_a_file_is_read_in(console, settings):
    token = token_of(console.operator.get(PAGE).text)
    file = ("left.csv", b"email,reason\na@x.example,left\nb@x.example,\n", "text/csv")
    answer = console.operator.post(
        f"{PAGE}/import", data={"token": token, "reason": "old"}, files={"file": file}
    )
    assert "2 addresses added" in note_of(console.operator, answer)
    reasons = {one.mailbox: one.reason for one in suppression.entries(settings=settings)}
    assert reasons == {"a@x.example": "left", "b@x.example": "old"}


@pytest.mark.parametrize("text", ["", "\n\n", "\x00\x00", "name\nAda\n"])
def test_a_file_without_addresses_adds_nobody(console, settings, text):
    act(console, "import", addresses=text)
    assert addresses(settings) == set()


def test_what_is_written_out_is_read_in_again_and_runs_in_no_spreadsheet(console, settings):
    suppression.add(["a@x.example", "b@x.example"], reason="=cmd()", settings=settings)
    answer = console.viewer.get(f"{PAGE}/export.csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert {row["email"] for row in rows} == {"a@x.example", "b@x.example"}
    assert {row["reason"] for row in rows} == {"'=cmd()"}
    assert len(list(read_rows(io.StringIO(answer.text)))) == 2


def test_a_long_list_goes_page_by_page_and_shows_everybody(console, settings):
    suppression.add([f"r{n}@x.example" for n in range(700)], reason="left", settings=settings)
    seen, path = set(), PAGE
    for _ in range(50):
        text = console.operator.get(path).text
        seen |= set(re.findall(r"r\d+@x\.example", text))
        further = re.findall(r'href="([^"]+)">Further', text)
        if not further:
            break
        path = further[0].replace("&amp;", "&")
    assert len(seen) == 700


def test_a_rare_reason_is_found_by_one_press_and_its_number_said(console, settings):
    suppression.add([f"r{n}@x.example" for n in range(5_000)], reason="imported", settings=settings)
    suppression.add(["a@x.example", "b@x.example"], reason="complaint", settings=settings)
    text = console.operator.get(PAGE).text
    assert re.search(r'href="([^"]+)">imported</a> <b>5,000</b>', text)
    (path,) = re.findall(r'href="([^"]+)">complaint</a> <b>2</b>', text)
    text = console.operator.get(path.replace("&amp;", "&")).text
    assert set(re.findall(r'class="to">([^<]+)<', text)) == {"a@x.example", "b@x.example"}
    assert ">Further</a>" not in text
    text = console.operator.get(f"{PAGE}?reason=PLAIN").text  # words in it
    assert set(re.findall(r'class="to">([^<]+)<', text)) == {"a@x.example", "b@x.example"}


def test_a_source_is_looked_for_also_in_the_address(console, settings):
    suppression.add([f"r{n}@x.example" for n in range(60)], reason="left", settings=settings)
    act(console, "import", addresses="email,reason\nc@x.example,left\n")
    assert '<option value="import">import (1)</option>' in console.operator.get(PAGE).text
    for query in ("source=import", "source=import&reason=left", "source=import&scope=all"):
        text = console.operator.get(f"{PAGE}?{query}").text
        assert re.findall(r'class="to">([^<]+)<', text) == ["c@x.example"], query
    assert "Nobody fits" in console.operator.get(f"{PAGE}?source=hook").text
    text = console.operator.get(f"{PAGE}?source=hand&reason=left").text
    (further,) = re.findall(r'href="([^"]+)">Further', text)
    assert "source=hand" in further
    rest = console.operator.get(further.replace("&amp;", "&")).text
    assert len(set(re.findall(r"r\d+@x\.example", text + rest))) == 60


def test_a_list_that_another_version_wrote_is_searched_and_said_not_to_be_counted(
    console, settings, client
):
    suppression.add(["a@x.example"], reason="left", settings=settings)
    client.delete("mailer:suppressed:reasons")
    text = console.operator.get(f"{PAGE}?reason=le&source=hand").text
    assert "a@x.example" in text
    assert "not counted by reason yet" in text


def test_reasons_are_shown_as_text(console, settings, client):
    suppression.add(["a@x.example"], reason=MARKUP, settings=settings)
    text = console.operator.get(PAGE).text
    assert MARKUP not in text
    assert "&lt;script&gt;" in text
    assert len(Store(client).suppression) == 1


@pytest.mark.parametrize("what", ["add", "remove", "import"])
def test_a_viewer_changes_nothing(console, settings, what):
    suppression.add(["a@x.example"], reason="left", settings=settings)
    assert 'method="post"' not in console.viewer.get(PAGE).text
    token = token_of(console.operator.get(PAGE).text)
    fields = {"token": token, "address": "a@x.example", "addresses": "b@x.example"}
    assert console.viewer.post(f"{PAGE}/{what}", data=fields).status_code == 403
    assert addresses(settings) == {"a@x.example"}
