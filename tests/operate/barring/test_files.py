"""Lists of people who get no mail: ours, and what other mailers export, row by row."""

import io
import json

import pytest

from mailer.errors import InputError
from mailer.mail.barring.scopes import ALL, BULK
from mailer.mail.recipients import Rejected, fingerprint
from mailer.operate.barring.files import COLUMNS, Defaults, entry_of, moment_of, rows_of, write
from mailer.store.suppression import Suppressed

NOON = "2026-03-31T12:00:00Z"
NOW = 1_774_958_400.0
"""NOON, in seconds."""
LAST = 253_402_300_799.0
"""The last second of the year 9999."""
ADA = "ada@example.org"
DEFAULTS = Defaults("imported", ALL, NOW)


def entries(text, defaults=DEFAULTS):
    """What each row of a file says."""
    rows = rows_of(io.BytesIO(text.encode()), None, lambda _notice: None)
    return [entry_of(row, number, defaults) for number, row in enumerate(rows, 1)]


def only(text):
    ((key, entry),) = entries(text)
    assert key == fingerprint(entry.mailbox)
    return entry


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1774958400", NOW),
        ("1774958400.0", NOW),
        ("1774958400000", NOW),
        ("2026-03-31T12:00:00Z", NOW),
        ("2026-03-31 14:00:00+02:00", NOW),
        ("Tue, 31 Mar 2026 12:00:00 +0000", NOW),
        (" 2026-03-31T12:00:00Z ", NOW),
        (1774958400, NOW),
        # An end that is never meant to come is no number of milliseconds.
        ("9999-12-31T23:59:59Z", 253_402_300_799.0),
        ("5138-11-16T09:46:41Z", 100_000_000_001.0),
        ("", None),
        ("   ", None),
        (None, None),
    ],
)
def test_a_time_is_read_as_exports_write_it(text, moment):
    assert moment_of(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "nan",
        "NaN",
        "inf",
        "-inf",
        "1e400",
        "1e30",
        "-1",
        "yesterday",
        "true",
        "31.03.2026",
        "2026-13-01",
    ],
)
def test_what_is_no_time_is_refused_and_not_stored(text):
    with pytest.raises(InputError, match="is no time, such as 2026-03-31T12:00:00Z"):
        moment_of(text)
    (rejected,) = entries(f"email,until\n{ADA},{text}\n")
    assert isinstance(rejected, Rejected)
    assert rejected.row == 1


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        # SES: aws sesv2 list-suppressed-destinations
        (
            json.dumps(
                {
                    "SuppressedDestinationSummaries": [
                        {"EmailAddress": ADA, "Reason": "COMPLAINT", "LastUpdateTime": NOON}
                    ]
                }
            ),
            Suppressed(ADA, "complaint", NOW, None, "ses", ""),
        ),
        (
            f"EmailAddress,Reason,LastUpdateTime\n{ADA},BOUNCE,2026-03-31T12:00:00Z\n",
            Suppressed(ADA, "bounce", NOW, None, "ses", ""),
        ),
        # SendGrid's bounces
        (
            f"status,reason,email,created\n5.1.1,550 no such user,{ADA},1774958400\n",
            Suppressed(ADA, "bounce", NOW, None, "sendgrid", "550 no such user"),
        ),
        # Mailgun's three lists
        (
            f"address,code,error,created_at\n{ADA},550,No such mailbox,2026-03-31T12:00:00Z\n",
            Suppressed(ADA, "bounce", NOW, None, "mailgun", "No such mailbox"),
        ),
        (
            json.dumps({"items": [{"address": ADA, "tags": ["*"], "created_at": NOON}]}),
            Suppressed(ADA, "unsubscribe", NOW, None, "mailgun", "", BULK),
        ),
        (
            f"address,count,created_at\n{ADA},1,2026-03-31T12:00:00Z\n",
            Suppressed(ADA, "complaint", NOW, None, "mailgun", ""),
        ),
        # listmonk's subscribers
        (
            f"uuid,email,status,updated_at\n1-2,{ADA},blocklisted,2026-03-31T12:00:00Z\n",
            Suppressed(ADA, "blocklisted", NOW, None, "listmonk", ""),
        ),
        # ours, and lists with an address and nothing else
        (f"email\n{ADA}\n", Suppressed(ADA, "imported", NOW, None, "import", "")),
        (f"E-Mail\n{ADA}\n", Suppressed(ADA, "imported", NOW, None, "import", "")),
        (f"address\n{ADA}\n", Suppressed(ADA, "imported", NOW, None, "import", "")),
        (
            ("email,reason,since,until,source,scope,evidence\n"
            f"{ADA},by hand,0,1774958401,hand,bulk,asked\n"),
            Suppressed(ADA, "by hand", NOW, NOW + 1, "hand", "asked", BULK),
        ),
        (json.dumps({"email": ADA}), Suppressed(ADA, "imported", NOW, None, "import", "")),
    ],
)  # fmt: skip
def test_each_mailer_s_export_is_known_by_its_columns(text, entry):
    assert only(text) == entry


@pytest.mark.parametrize("status", ["enabled", "disabled", ""])
def test_who_is_well_at_listmonk_is_passed_over(status):
    assert entries(f"uuid,email,status\n1,{ADA},{status}\n") == [None]


@pytest.mark.parametrize(
    "row", ["not an address", "a@b@c", "-", '"""ada@example.org"', "<script>@example.org"]
)
def test_a_row_without_a_mailbox_is_rejected_by_its_number(row):
    good, rejected = entries(f"email,reason\n{ADA},x\n{row},x\n")
    assert not isinstance(good, Rejected)
    assert isinstance(rejected, Rejected)
    assert rejected.row == 2


def test_entries_that_are_no_objects_are_rejected_and_the_others_read():
    found = entries(json.dumps([{"email": ADA}, "bob@example.org", 5, None, ["x"]]))
    assert [isinstance(one, Rejected) for one in found] == [False, True, True, True, True]


@pytest.mark.parametrize("as_json", [True, False])
def test_what_is_written_is_read_again(as_json):
    written = [
        Suppressed(ADA, "by hand", NOW, None, "hand", 'said "no", twice', ALL),
        Suppressed("jörg@example.org", "mailbox_full", NOW + 0.5, NOW + 9, "session", "452 4.2.2", BULK),
        Suppressed("eve@example.org", "left", NOW, LAST, "page", "a\nb", "news.shop.example"),
    ]  # fmt: skip
    target = io.StringIO()
    assert write(written, target, as_json=as_json) == 3
    assert [entry for _, entry in entries(target.getvalue())] == written


def test_our_files_have_their_columns_in_this_order_for_good():
    target = io.StringIO()
    write([], target, as_json=False)
    assert target.getvalue() == "email,reason,since,until,source,scope,evidence\n"
    assert COLUMNS[0] == "email"


def test_an_entry_whose_address_nobody_knows_comes_back_by_its_fingerprint():
    key = fingerprint(ADA)
    ((found, entry),) = entries(f"email,reason\n#{key.hex()},left\n")
    assert (found, entry.mailbox, entry.reason) == (key, "", "left")
    (rejected,) = entries(f"email\n#{key.hex()[:-1]}g\n")
    assert isinstance(rejected, Rejected)


@pytest.mark.parametrize("scope", ["everything", "<no list", "bulk all"])
def test_a_scope_that_is_none_is_rejected(scope):
    (rejected,) = entries(f"email,scope\n{ADA},{scope}\n")
    assert isinstance(rejected, Rejected)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*gone\.csv: No such file"):
        list(rows_of(tmp_path / "gone.csv", None, lambda _notice: None))
