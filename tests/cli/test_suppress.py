"""`mailer suppress`: addresses that never get mail."""

import csv
import io
import json
import time

from mailer.mail.recipients import fingerprint
from mailer.store.suppression import Suppression


def listed(mailer):
    return {
        entry["email"]: entry["reason"]
        for entry in json.loads(mailer("suppress", "list", "--json").out)
    }


def test_added_addresses_are_listed_and_left_out(mailer):
    done = mailer("suppress", "add", "ada@example.org", "--reason", "asked by phone")
    assert done.out == "1 address added\n"
    assert listed(mailer) == {"ada@example.org": "asked by phone"}
    sent = mailer("send", "spring", "-t", "hello", "--set", "season=May", "people.csv")
    assert "spring: 1 queued; not: " in sent.out
    assert "  row 1: on the suppression list\n" in sent.out


def test_another_spelling_is_the_same_address(mailer):
    mailer("suppress", "add", "Ada@Example.org")
    assert (
        mailer("suppress", "add", "ada@example.org").out
        == "0 addresses added, 1 had been on the list\n"
    )
    assert mailer("suppress", "remove", "ADA@EXAMPLE.ORG").out == "1 address removed\n"
    assert mailer("suppress", "list").out == "Nobody is suppressed.\n"


def test_what_is_no_address_is_refused(mailer):
    done = mailer("suppress", "add", "nobody")
    assert done.code == 1
    assert done.err.startswith("mailer: 'nobody': the email address is malformed")


def test_removing_who_is_not_there_is_said(mailer):
    done = mailer("suppress", "remove", "ada@example.org")
    assert (done.code, done.err) == (1, "mailer: 1 address not on the list\n")


def test_import_names_faulty_rows_and_takes_the_others(mailer):
    rows = "email,reason\nada@example.org,complaint\nnobody,\nbob@example.org,\n"
    done = mailer("suppress", "import", "-", "--reason", "from the old system", stdin=rows)
    assert done.out == "2 addresses added\n"
    assert done.code == 1
    assert done.err.startswith("mailer: 1 row left out: row 2: the email address is malformed")
    assert listed(mailer) == {
        "ada@example.org": "complaint",
        "bob@example.org": "from the old system",
    }


def test_export_is_what_import_reads(mailer):
    mailer("suppress", "add", "ada@example.org", "--reason", "a, b")
    exported = mailer("suppress", "export").out
    assert next(csv.DictReader(io.StringIO(exported)))["reason"] == "a, b"
    mailer("suppress", "remove", "ada@example.org")
    assert mailer("suppress", "import", "-", stdin=exported).out == "1 address added\n"
    assert listed(mailer) == {"ada@example.org": "a, b"}


def test_export_writes_a_file(mailer, place):
    mailer("suppress", "add", "ada@example.org")
    assert mailer("suppress", "export", "out.csv").out == ""
    assert (
        (place / "out.csv")
        .read_text()
        .startswith("email,reason,since,until,source\nada@example.org,")
    )


def test_an_address_may_be_on_the_list_for_some_days_only(mailer, client):
    mailer("suppress", "add", "ada@example.org", "--days", "3")
    (entry,) = json.loads(mailer("suppress", "list", "--json").out)
    assert entry["source"] == "hand"
    assert entry["until"] > entry["since"]
    assert Suppression(client).expire(time.time() + 2 * 86400) == 0
    assert Suppression(client).expire(time.time() + 4 * 86400) == 1
    assert mailer("suppress", "list").out == "Nobody is suppressed.\n"


def test_what_version_0_1_0_wrote_is_listed(mailer, client):
    packed = json.dumps(["ada@example.org", "by hand", 1_700_000_000.0])
    client.hset("mailer:suppressed", fingerprint("ada@example.org"), packed)
    assert listed(mailer) == {"ada@example.org": "by hand"}
