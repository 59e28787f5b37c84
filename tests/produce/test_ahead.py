"""What is made while a list is checked is what is queued, and nothing is made twice."""

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailer import Campaign
from mailer.compose import Composer
from mailer.config import Settings
from mailer.errors import InvalidRowsError
from mailer.mail.payload import decode, version_of
from mailer.mail.recipients import fingerprint
from mailer.produce import ahead
from mailer.store import keys
from mailer.store.suppression import Suppressed, Suppression
from mailer.store.workers.able import Able
from tests.servers.shop import template

ROWS = [{"email": f"r{number}@example.org", "name": f"N{number}"} for number in range(1, 24)]
DATE = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


@pytest.fixture
def settings(redis_url, tmp_path):
    folder = template(
        tmp_path, "Hello {{ name }}", "Dear {{ name }}, {{ 6 // (name|length - 1) }}."
    )
    accounts = {name: {"url": f"smtp://{name}.localhost:2525"} for name in ("one", "two")}
    return Settings(redis=redis_url, templates=folder, accounts=accounts)


@pytest.fixture
def make(settings):
    def make(**options):
        options = {"account": "one", "batch_size": 5, "date": DATE, **options}
        return Campaign(
            "spring",
            template="hello",
            sender="Shop <news@shop.example>",
            settings=settings,
            **options,
        )

    return make


@pytest.fixture
def made(monkeypatch):
    """How often each row was made and how often it was only checked, by row."""
    found = {"compose": [], "check": []}
    for name, rows in found.items():
        whole = getattr(Composer, name)

        def counted(self, recipient, rows=rows, whole=whole):
            rows.append(recipient.row)
            return whole(self, recipient)

        monkeypatch.setattr(Composer, name, counted)
    return found


@pytest.fixture
def queued(client):
    """What lies in Redis: for each batch its account and its messages."""

    def queued():
        refs = [f"spring:{one + 1}" for one in range(len(client.keys(keys.payload("spring:*"))))]
        return [
            (
                client.hget(keys.batch(ref), "account").decode(),
                [
                    (one.fingerprint, one.message.joined({}))
                    for one in decode(client.get(keys.payload(ref)))
                ],
            )
            for ref in refs
        ]

    return queued


class Changing:
    """Rows that are others when they are read again: then *change* has been called with them."""

    def __init__(self, change):
        self._change = change
        self._is_read = False

    def __iter__(self):
        rows = [dict(row) for row in ROWS]
        if self._is_read:
            self._change(rows)
        yield from rows
        self._is_read = True


@pytest.mark.parametrize("accounts", ["one", {"one": 2, "two": 1}])
@pytest.mark.parametrize("rows", [list, iter])
def test_each_message_is_made_once_and_is_what_a_list_without_a_check_gives(
    make, client, queued, made, accounts, rows
):
    assert make(account=accounts).enqueue(rows(ROWS), check=False).queued == len(ROWS)
    without = queued()
    client.flushall()
    made["compose"].clear()
    assert make(account=accounts).enqueue(rows(ROWS)).queued == len(ROWS)
    assert queued() == without
    assert sorted(made["compose"]) == [row for row, _ in enumerate(ROWS, 1)]
    assert made["check"] == []


def test_it_is_told_how_many_rows_are_checked_and_how_many_queued(make):
    told = []
    rows = [*ROWS, {"email": "nonsense"}, ROWS[0]]
    make().enqueue(
        rows,
        checked=lambda number: told.append(("checked", number)),
        progress=lambda number: told.append(("queued", number)),
    )
    assert [what for what, _ in told] == ["checked"] + ["queued"] * 5
    assert [sum(n for what, n in told if what == one) for one in ("checked", "queued")] == [25, 25]


def test_whoever_is_queued_already_is_checked_and_not_made(make, made):
    make().enqueue(ROWS[:7])
    made["compose"].clear()
    receipt = make().enqueue(ROWS)
    assert (receipt.queued, receipt.already_queued) == (16, 7)
    assert made == {"compose": list(range(8, 24)), "check": list(range(1, 8))}


def test_what_is_queued_is_what_is_read_last(make, queued, made):
    """The third batch is another one, so it and what follows are made again; the first two are not."""

    def change(rows):
        rows[12]["name"] = "Ada"

    assert make().enqueue(Changing(change)).queued == len(ROWS)
    messages = [mail for _, batch in queued() for _, mail in batch]
    assert [at for at, mail in enumerate(messages) if b"To: Ada <r13@example.org>" in mail] == [12]
    assert b"=20=\r\nAda=\r\n" in messages[12]
    assert made["compose"] == [*range(1, 24), *range(11, 24)]


def test_whoever_is_suppressed_meanwhile_gets_nothing(make, client, queued):
    def change(_rows):
        Suppression(client).add(
            [(fingerprint("r8@example.org"), Suppressed("r8@example.org", "", time.time()))]
        )

    receipt = make().enqueue(Changing(change))
    assert (receipt.queued, receipt.suppressed) == (22, 1)
    sent = [who for _, batch in queued() for who, _ in batch]
    assert sent == [fingerprint(row["email"]) for row in ROWS if row["email"] != "r8@example.org"]


@pytest.mark.parametrize(("before", "then", "written"), [(2, 1, 1), (1, 2, 1), (2, 2, 2)])
def test_a_worker_that_is_started_meanwhile_can_read_it(make, client, before, then, written):
    able = Able(client)
    able.announce("worker", ["one"], before, time.time())

    def change(_rows):
        able.announce("worker", ["one"], then, time.time())

    assert make().enqueue(Changing(change)).queued == len(ROWS)
    found = [client.get(key) for key in client.keys(keys.payload("spring:*"))]
    assert {version_of(payload) for payload in found} == {written}
    assert sum(len(decode(payload)) for payload in found) == len(ROWS)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_faulty_row_is_named_before_anything_is_queued(make, client, processes):
    rows = [
        *ROWS,
        {"email": "x@example.org", "name": "X"},
        {"email": "r3@example.org", "name": "Y"},
    ]
    with pytest.raises(
        InvalidRowsError, match=r"zero \(row 24\), and in 1 more \(nothing was queued\)"
    ):
        make().enqueue(rows, processes=processes)
    assert client.keys(keys.payload("*")) == []


@pytest.mark.parametrize("processes", [1, 2])
def test_faulty_rows_are_left_out_and_the_rest_is_made_once(make, made, queued, processes):
    rows = [*ROWS[:9], {"email": "x@example.org", "name": "X"}, *ROWS[9:]]
    receipt = make().enqueue(rows, skip_faulty=True, processes=processes)
    assert (receipt.queued, receipt.invalid) == (23, 1)
    assert [(one.row, one.kind) for one in receipt.complaints] == [(10, "invalid")]
    assert [who for _, batch in queued() for who, _ in batch] == [
        fingerprint(row["email"]) for row in ROWS
    ]
    if processes == 1:
        assert made["compose"] == list(range(1, 25))


def test_of_a_list_too_long_to_be_kept_the_rest_is_checked_and_then_made(make, made, monkeypatch):
    monkeypatch.setattr(ahead, "MOST", 1)
    rows = [{"email": f"r{number}@example.org", "name": f"N{number}"} for number in range(1, 1201)]
    assert make(batch_size=100).enqueue(rows).queued == 1200
    assert made["check"] == list(range(501, 1201))
    assert sorted(set(made["compose"])) == list(range(1, 1201))


@pytest.mark.parametrize("in_memory", [0, 1 << 20])
def test_without_a_folder_for_files_all_is_queued(make, queued, monkeypatch, tmp_path, in_memory):
    monkeypatch.setattr(ahead, "IN_MEMORY", in_memory)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    assert make().enqueue(ROWS).queued == len(ROWS)
    assert sum(len(batch) for _, batch in queued()) == len(ROWS)


def test_a_disk_that_is_full_costs_nobody_a_message(make, queued, monkeypatch):
    """A file that takes nothing more stands for the disk: what the kernel says of it is the same."""
    monkeypatch.setattr(ahead, "IN_MEMORY", 1)
    full = Path("/dev/full")
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda *_, **__: full.open("w+b"))
    assert make().enqueue(ROWS).queued == len(ROWS)
    assert sum(len(batch) for _, batch in queued()) == len(ROWS)
