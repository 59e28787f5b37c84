"""`mailer send`: what is queued, what is not and why, and that nothing is queued twice."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from click import BadParameter

from mailer.cli.campaigns.campaign_options import headers, pairs
from mailer.cli.typed.times import coming as moment

SEND = ("send", "spring", "-t", "hello", "--set", "season=May")


def outcomes(mailer, name="spring"):
    return json.loads(mailer("status", name, "--json").out)["outcomes"]


def test_names_each_row_that_was_not_queued_with_its_reason(mailer):
    done = mailer(*SEND, "people.csv")
    assert done.code == 0
    first, *rows = done.out.splitlines()
    assert first == "spring: 2 queued; not: 1 named in an earlier row, 1 invalid"
    assert rows[0] == "  row 3: the same recipient stands in an earlier row"
    assert rows[1].startswith("  row 4: invalid: the email address is malformed")
    assert outcomes(mailer)["queued"] == 2


def test_json_receipt_counts_and_names(mailer):
    found = json.loads(mailer(*SEND, "people.csv", "--json").out)
    assert (found["queued"], found["duplicate"], found["invalid"]) == (2, 1, 1)
    assert [one["row"] for one in found["complaints"]] == [3, 4]


def test_twice_queues_once(mailer):
    mailer(*SEND, "people.csv")
    done = mailer(*SEND, "people.csv")
    assert done.out.startswith("spring: 0 queued; not: 2 queued by an earlier run")
    assert outcomes(mailer)["queued"] == 2


def test_reads_json_lines_from_standard_input(mailer):
    done = mailer(*SEND, "-", stdin='{"email": "ada@example.org", "name": "Ada"}\n')
    assert done.out == "spring: 1 queued\n"


def test_missing_variable_stops_it_before_anything_is_queued(mailer):
    done = mailer("send", "spring", "-t", "hello", "people.csv")
    assert done.code == 1
    assert "'season' is undefined (row 1)" in done.err
    assert "nothing was queued" in done.err
    assert mailer("status", "spring").code == 1


def test_changed_template_is_refused_until_it_is_accepted(mailer, place):
    mailer(*SEND, "people.csv")
    (place / "templates/hello/subject.txt").write_text("Another subject")
    done = mailer(*SEND, "people.csv")
    assert done.code == 1
    assert "campaign 'spring' was enqueued before with another template" in done.err
    assert mailer(*SEND, "people.csv", "--accept-changes").code == 0


def test_dry_run_checks_everything_and_needs_no_redis(mailer):
    done = mailer(
        *SEND, "people.csv", "--dry-run", environ={"MAILER_REDIS": "redis://127.0.0.1:1/0"}
    )
    assert done.code == 0
    assert done.out.startswith("spring: 2 could be queued; not: 1 named")


def test_no_template_or_sender_is_said(mailer, place):
    done = mailer("send", "spring", "-t", "helo", "people.csv")
    assert done.code == 1
    assert "helo" in done.err
    (place / "mailer.toml").write_text("")
    done = mailer(*SEND, "people.csv", "--dry-run")
    assert "no sender" in done.err


def test_pairs_and_headers_are_split_at_the_first_mark():
    assert pairs(("a=b=c", "d=")) == {"a": "b=c", "d": ""}
    assert headers(("X-One: a:b", "X-Two:c")) == {"X-One": "a:b", "X-Two": "c"}


NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("+2h", NOW + timedelta(hours=2)),
        ("+90", NOW + timedelta(seconds=90)),
        ("13:30", NOW.replace(hour=13, minute=30)),
        ("8:00", NOW.replace(day=2, hour=8)),
        ("2026-06-01T08:00:00+00:00", datetime(2026, 6, 1, 8, tzinfo=UTC)),
    ],
)
def test_times_are_written_as_people_do(text, expected):
    assert moment(text, NOW) == expected


def test_time_without_a_zone_is_this_machines():
    assert moment("2026-06-01 08:00") == datetime(2026, 6, 1, 8, 0).astimezone()


@pytest.mark.parametrize("text", ["", "soon", "25:00", "+x", "2026-13-01"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(BadParameter, match="is no time"):
        moment(text, NOW)


def test_a_dry_run_ends_as_the_real_run_would(mailer, place):
    (place / "faulty.jsonl").write_text(
        '{"email": "ada@example.org", "name": "Ada"}\n{"email": "bob@example.org"}\n'
    )
    (place / "nobody.csv").write_text("email,name\nada,Ada\nbob@,Bob\n")
    for name in ("faulty.jsonl", "nobody.csv", "people.csv"):
        dry = mailer(*SEND, name, "--dry-run")
        real = mailer(*SEND, name)
        assert dry.code == real.code, name
        for said in ("was queued", "can be queued", "undefined"):
            assert (said.replace("was", "would be") in dry.err) == (said in real.err), name
        assert dry.out.replace("could be queued", "queued") == real.out


def test_a_list_in_windows_1252_is_read_with_a_word_about_it(mailer, place):
    (place / "list.csv").write_bytes(
        "E-Mail-Adresse;name\r\nada@example.org;Zoë\r\n".encode("cp1252")
    )
    done = mailer(*SEND, "list.csv", "--dry-run")
    assert (done.code, done.out) == (0, "spring: 1 could be queued\n")
    assert "is not UTF-8: read as Windows-1252" in done.err
    assert mailer(*SEND, "list.csv", "--dry-run", "--encoding", "cp1252").err == ""


def test_a_start_is_repeated_and_one_that_is_over_named(mailer):
    out = mailer(
        "send", "later", "people.csv", "-t", "hello", "--set", "season=x", "--at", "+2h"
    ).out
    assert re.search(r"^  not before \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$", out, re.MULTILINE)
    said = mailer(
        "send", "sent", "people.csv", "-t", "hello", "--set", "season=x", "--at", "2020-01-01"
    )
    assert said.err == "mailer: --at: 2020-01-01 00:00:00 is over, so it begins now\n"


def test_a_list_without_rows_is_said(mailer, place):
    (place / "people.csv").write_text("email,name\n")
    ran = mailer("send", "nobody", "people.csv", "-t", "hello", "--set", "season=x")
    assert (ran.code, ran.out) == (0, "nobody: 0 queued: the list has no rows\n")


def test_each_may_get_a_file_of_their_own(mailer, place):
    (place / "bills").mkdir()
    (place / "bills/1.txt").write_text("eleven")
    (place / "people.csv").write_text("email,name,bill\na@example.org,A,1.txt\nb@example.org,B,\n")
    own = ("--attachment-field", "bill", "--attachments-path", "bills")
    assert mailer(*SEND, *own, "people.csv").out.startswith("spring: 2 queued")

    (place / "people.csv").write_text("email,name,bill\na@example.org,A,2.txt\n")
    ran = mailer(*SEND, *own, "people.csv", "--dry-run")
    assert ran.code == 1
    assert "2.txt" in ran.err
    assert "row 1" in ran.err
    assert "attachments_path" in mailer(*SEND, *own[:2], "people.csv").err
    assert mailer(*SEND, *own[:3], "nowhere", "people.csv").code == 2
