"""`mailer suppress`: addresses that never get mail."""

import csv
import io
import json
import time
from datetime import UTC, datetime

import pytest

from mailer import suppression
from mailer.config import Settings
from mailer.errors import InputError
from mailer.mail.barring.scopes import ALL
from mailer.mail.recipients import fingerprint
from mailer.store.suppression import Suppressed, Suppression


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
    assert done.code == 2
    assert "'nobody' is no address: the email address is malformed" in done.err


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
        .startswith("email,reason,since,until,source,scope,evidence\nada@example.org,by hand,")
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


def test_a_scope_is_shown_and_taken_off_by_itself(mailer):
    mailer("suppress", "add", "ada@example.org", "--scope", "news.shop.example")
    mailer("suppress", "add", "ada@example.org")
    (bulk,) = json.loads(mailer("suppress", "list", "--scope", "news.shop.example", "--json").out)
    assert (bulk["scope"], bulk["reason"]) == ("news.shop.example", "by hand")
    assert mailer("suppress", "remove", "ada@example.org", "--scope", "all").code == 0
    (left,) = json.loads(mailer("suppress", "list", "--json").out)
    assert left["scope"] == "news.shop.example"
    assert (
        "write all, bulk, or a List-ID"
        in mailer("suppress", "add", "bob@example.org", "--scope", "news").err
    )


def test_addresses_may_come_by_standard_input(mailer):
    """What stands on the command line, every user of the host can see."""
    done = mailer("suppress", "add", "-", stdin="ada@example.org\n\nbob@example.org\n")
    assert done.out == "2 addresses added\n"
    assert mailer("suppress", "remove", "-", stdin="bob@example.org\n").out == "1 address removed\n"
    assert listed(mailer) == {"ada@example.org": "by hand"}


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_all_that_an_entry_says_survives_export_and_import(mailer, client, form):
    kept = Suppression(client)
    kept.add(
        [
            (
                fingerprint("ada@example.org"),
                Suppressed("ada@example.org", "mailbox_full", 1e9, 4e9, "session", '552, "full"'),
            ),
            (fingerprint("bob@example.org"), Suppressed("bob@example.org", "unsubscribe", 1e9, None,
                                                        "page", scope="news.shop.example")),
            (b"12345678", Suppressed("", "complaint", 1e9 + 0.25, None, "imap", "")),
        ]
    )  # fmt: skip
    before = sorted(kept, key=lambda one: one.mailbox)
    exported = mailer("suppress", "export", *form).out
    client.flushdb()
    assert mailer("suppress", "import", "-", stdin=exported).out == "3 addresses added\n"
    assert sorted(kept, key=lambda one: one.mailbox) == before
    assert kept.among([b"12345678"], ALL) == [True]


EXPORTS = {
    "listmonk.csv": (
        (
            "uuid,email,name,attributes,status,created_at,updated_at\n"
            "1,ada@example.org,Ada,{},blocklisted,2024-01-01T00:00:00Z,2024-05-01T10:00:00Z\n"
            "2,bob@example.org,Bob,{},enabled,2024-01-01T00:00:00Z,2024-05-01T10:00:00Z\n"
            "3,cy@example.org,Cy,{},disabled,2024-01-01T00:00:00Z,2024-05-01T10:00:00Z\n"
        ),
        [("ada@example.org", "blocklisted", "listmonk", "all", 1714557600.0)],
    ),
    "ses.json": (
        json.dumps(
            {
                "SuppressedDestinationSummaries": [
                    {
                        "EmailAddress": "ada@example.org",
                        "Reason": "COMPLAINT",
                        "LastUpdateTime": "2020-04-10T21:03:05.362000+00:00",
                    },
                    {
                        "EmailAddress": "bob@example.org",
                        "Reason": "BOUNCE",
                        "LastUpdateTime": 1586552585.362,
                    },
                ],
                "NextToken": "x",
            },
            indent=2,
        ),
        [
            ("ada@example.org", "complaint", "ses", "all", 1586552585.362),
            ("bob@example.org", "bounce", "ses", "all", 1586552585.362),
        ],
    ),
    "sendgrid.csv": (
        (
            "status,reason,email,created\n"
            '5.1.1,"550 5.1.1 no such user, sorry",ada@example.org,1443651125\n'
        ),
        [("ada@example.org", "bounce", "sendgrid", "all", 1443651125.0)],
    ),
    "sendgrid.json": (
        '[{"created": 1443651125, "email": "ada@example.org", "reason": "550", "status": "5.1.1"}]',
        [("ada@example.org", "bounce", "sendgrid", "all", 1443651125.0)],
    ),
    "mailgun.csv": (
        (
            "address,code,error,created_at\n"
            'ada@example.org,550,No such mailbox,"Fri, 21 Oct 2011 11:02:55 GMT"\n'
        ),
        [("ada@example.org", "bounce", "mailgun", "all", 1319194975.0)],
    ),
    "mailgun-gone.json": (
        (
            '{"items": [{"address": "ada@example.org", "tags": ["*"], '
            '"created_at": "Fri, 21 Oct 2011 11:02:55 UTC"}], "paging": {}}'
        ),
        [("ada@example.org", "unsubscribe", "mailgun", "bulk", 1319194975.0)],
    ),
    "mailgun-complaints.csv": (
        "address,count,created_at\nada@example.org,2,2011-10-21T11:02:55Z\n",
        [("ada@example.org", "complaint", "mailgun", "all", 1319194975.0)],
    ),
}


@pytest.mark.parametrize("name", sorted(EXPORTS))
def test_other_mailers_exports_are_known_by_their_columns(mailer, place, client, name):
    text, expected = EXPORTS[name]
    (place / name).write_text(text)
    done = mailer("suppress", "import", name)
    assert (done.code, done.err) == (0, "")
    found = sorted(Suppression(client), key=lambda one: one.mailbox)
    assert [
        (one.mailbox, one.reason, one.source, one.scope, one.since) for one in found
    ] == expected
    if name.startswith("listmonk"):
        assert done.out.endswith("2 rows passed over: they may be mailed\n")


def test_a_time_or_a_scope_that_cannot_be_read_is_a_faulty_row(mailer):
    rows = "email,until,scope\nada@example.org,whenever,\nbob@example.org,,news\ncy@example.org,,bulk\n"
    done = mailer("suppress", "import", "-", stdin=rows)
    assert done.out == "1 address added\n"
    assert done.code == 1
    assert "row 1: 'whenever' is no time" in done.err
    assert "row 2: scope 'news'" in done.err


def test_a_json_document_of_other_things_is_told(mailer):
    done = mailer("suppress", "import", "-", stdin='[1, {"email": "ada@example.org"}]')
    assert done.out == "1 address added\n"
    assert "row 1: an entry that is no JSON object" in done.err


def test_it_is_all_there_in_python(place, redis_url):
    settings = Settings(redis=redis_url)
    until = datetime(2099, 1, 1, tzinfo=UTC)
    assert suppression.add("ada@example.org", scope="bulk", until=until, settings=settings) == 1
    assert suppression.add(["ada@example.org"], scope="bulk", settings=settings) == 1, (
        "for good now"
    )
    (entry,) = suppression.find("Ada@Example.org", settings=settings)
    assert (entry.scope, entry.until, entry.source) == ("bulk", None, "hand")
    assert [one.mailbox for one in suppression.entries(settings=settings)] == ["ada@example.org"]
    with (place / "out.csv").open("w") as target:
        assert suppression.export(target, settings=settings) == 1
    assert suppression.remove("ada@example.org", scope="all", settings=settings) == 0
    assert suppression.remove("ada@example.org", settings=settings) == 1
    done = suppression.load(place / "out.csv", settings=settings)
    assert (done.read, done.added, done.faults) == (1, 1, ())
    with pytest.raises(InputError, match="malformed"):
        suppression.add(["bob@example.org", "nobody"], settings=settings)
    assert suppression.find("bob@example.org", settings=settings) == []


def test_a_time_that_is_over_is_refused_and_named(mailer):
    done = mailer("suppress", "add", "ada@example.org", "--until", "2020-01-01")
    assert (done.code, done.out) == (2, "")
    assert "2020-01-01 00:00:00 is over: nobody was put on the list" in done.err
    assert listed(mailer) == {}


def test_a_list_that_cannot_be_imported_is_named(mailer, place):
    (place / "odd.csv").write_text("nonsense\n")
    assert "odd.csv has no column 'email'" in mailer("suppress", "import", "odd.csv").err
