"""A database that is locked, full, read-only or somebody else's: one line, and nothing is lost."""

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, suppress

import psycopg
import pytest

from mailer.config import load
from mailer.errors import HistoryRefusesError, HistoryUnavailableError
from mailer.history import open_history
from mailer.history.upgrade import newest
from mailer.mail.event import Event
from mailer.worker.history_writer import HistoryWriter

AT = 1_772_400_000.0


def event(position, **more):
    given = {"mailbox": f"p{position}@example.org", "order": position + 1, "fence": 1}
    return Event("spring", position, "accepted", AT, **(given | more))


def one_line(caught):
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 300
    return text


@pytest.fixture
def sqlite(tmp_path):
    history = open_history(f"sqlite:///{tmp_path}/history.sqlite")
    history.upgrade()
    yield history
    history.close()


# What cannot be stored, ever.


@pytest.mark.parametrize("bad", [{"code": 1 << 70}, {"reply": "no \ud800 text"}])
def test_an_event_that_cannot_be_stored_is_said_and_nothing_of_its_chunk_is_there(history, bad):
    with pytest.raises(HistoryRefusesError) as caught:
        history.write([event(0), event(1, **bad), event(2)])
    assert "\ud800" not in one_line(caught)
    assert history.counts("spring") == {}


@pytest.mark.parametrize("bad", [{"code": 1 << 70}, {"account": "\ud800"}])
def test_the_writer_passes_over_what_cannot_be_stored_and_nothing_else(
    history, bad, tmp_path, client, caplog
):
    url = history._engine.url.render_as_string(hide_password=False)
    (tmp_path / "mailer.toml").write_text(f'[history]\nurl = "{url}"\nkeep = "100y"\n')
    writer = HistoryWriter(load(tmp_path / "mailer.toml", {}), client)
    events = [event(n) for n in range(50)]
    events[13], events[14] = events[13]._replace(**bad), events[14]._replace(**bad)

    writer.begin()
    writer.take(events)
    writer.close()

    assert {one.position for one in history.export("spring")} == set(range(50)) - {13, 14}
    assert caplog.text.count("is passed over") == 2
    assert "@example.org" not in caplog.text


# Two at once.


def test_some_that_upgrade_one_file_at_once_all_end_well(tmp_path):
    _upgrade_at_once(f"sqlite:///{tmp_path}/new.sqlite")


@pytest.mark.postgresql
def test_some_that_upgrade_one_server_at_once_all_end_well(postgres_url):
    _upgrade_at_once(postgres_url)


def _upgrade_at_once(url):
    script = (
        "import sys\nfrom mailer.history import open_history\n"
        "history = open_history(sys.argv[1])\nsys.stdin.readline()\nprint(history.upgrade())\n"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", script, url],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(4)
    ]  # fmt: skip
    for one in both:
        one.stdin.write("\n")
        one.stdin.flush()
    said = [one.communicate(timeout=120) for one in both]
    assert [out.strip() for out, _ in said] == [newest()] * 4, said


def test_a_step_that_fails_leaves_the_tables_as_they_were(sqlite, tmp_path):
    """The second step cannot be made: its first statement must not stay either."""
    file = tmp_path / "old.sqlite"
    with closing(open_history(f"sqlite:///{file}")) as history:
        history.upgrade()
    with closing(sqlite3.connect(file)) as raw:
        raw.execute("ALTER TABLE events DROP COLUMN reason")
        raw.execute("UPDATE alembic_version SET version_num = '0001'")
        raw.commit()
    with closing(open_history(f"sqlite:///{file}")) as history:
        with pytest.raises(HistoryUnavailableError, match="duplicate column"):
            history.upgrade()  # `permanent` is there already, `reason` is not
        with closing(sqlite3.connect(file)) as raw:
            columns = {row[1] for row in raw.execute("PRAGMA table_info(events)")}
    assert "reason" not in columns


# SQLite.


def test_a_file_that_a_backup_locks_is_written_when_it_is_free(sqlite, tmp_path):
    backup = sqlite3.connect(tmp_path / "history.sqlite", isolation_level=None)
    backup.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(HistoryUnavailableError) as caught:
            sqlite.write([event(0)])
        assert "locked" in one_line(caught)
        assert sqlite.counts("spring") == {}  # to read is possible
    finally:
        backup.execute("COMMIT")
        backup.close()
    sqlite.write([event(0)])
    assert sqlite.counts("spring") == {"accepted": 1}


def test_a_writer_waits_for_a_backup_that_ends_soon(sqlite, tmp_path):
    backup = sqlite3.connect(
        tmp_path / "history.sqlite", isolation_level=None, check_same_thread=False
    )
    backup.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(1, backup.execute, ("COMMIT",))
    timer.start()
    sqlite.write([event(0)])
    timer.join()
    backup.close()
    assert sqlite.counts("spring") == {"accepted": 1}


@pytest.fixture
def small(tmp_path):
    """A file system of half a megabyte, and a way to make it read-only."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", place],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("file systems cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_disk_that_is_full_takes_events_when_there_is_room_again(small):
    (small / "ballast").write_bytes(b"x" * 200_000)
    history = open_history(f"sqlite:///{small}/history.sqlite")
    history.upgrade()
    written, writes = 0, True
    while writes:
        chunk = [event(n, reply="x" * 50) for n in range(written, written + 500)]
        with suppress(HistoryUnavailableError):
            history.write(chunk)
            written += 500
            continue
        writes = False
    with pytest.raises(HistoryUnavailableError) as caught:
        history.write(chunk)
    assert "full" in one_line(caught)
    assert history.counts("spring") == {"accepted": written}

    (small / "ballast").unlink()
    history.write([event(n) for n in range(written, written + 500)])
    assert history.counts("spring") == {"accepted": written + 500}
    history.close()


def test_a_read_only_folder_is_one_line(small):
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    history = open_history(f"sqlite:///{small}/history.sqlite")
    with pytest.raises(HistoryUnavailableError) as caught:
        history.upgrade()
    assert "unable to open database file" in one_line(caught)
    history.close()


def test_a_file_that_is_no_database_is_one_line(tmp_path):
    (tmp_path / "text").write_text("this is no database, but some text of mine " * 50)
    history = open_history(f"sqlite:///{tmp_path}/text")
    with pytest.raises(HistoryUnavailableError) as caught:
        history.upgrade()
    assert "not a database" in one_line(caught)
    assert (tmp_path / "text").read_text().startswith("this is no database")
    history.close()


# PostgreSQL.


@pytest.fixture
def admin(postgres_server, postgres_url):
    """An administrator's connection to the history's database."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


@pytest.mark.postgresql
def test_a_database_that_is_read_only_for_a_while_takes_events_again(postgres_url, admin):
    with closing(open_history(postgres_url)) as history:
        history.upgrade()
    admin.execute("ALTER DATABASE mailer SET default_transaction_read_only = on")
    try:
        with closing(open_history(postgres_url)) as history:
            with pytest.raises(HistoryUnavailableError) as caught:
                history.write([event(0)])
            assert "read-only" in one_line(caught)
    finally:
        admin.execute("SET default_transaction_read_only = off")
        admin.execute("ALTER DATABASE mailer RESET default_transaction_read_only")
    with closing(open_history(postgres_url)) as history:
        history.write([event(0)])
        assert history.counts("spring") == {"accepted": 1}


@pytest.mark.postgresql
def test_a_role_without_rights_is_one_line(postgres_url, admin):
    with closing(open_history(postgres_url)) as history:
        history.upgrade()
    admin.execute("CREATE ROLE reader LOGIN")
    try:
        url = postgres_url.replace("mailer@", "reader:hunter2@", 1)
        with (
            closing(open_history(url)) as history,
            pytest.raises(HistoryUnavailableError) as caught,
        ):
            history.write([event(0)])
        assert "permission denied" in one_line(caught)
        assert "hunter2" not in str(caught.value)
    finally:
        admin.execute("DROP ROLE reader")


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("before", "after", "why"),
    [("/mailer", "/nothing", "does not exist"), ("mailer@", "nobody:hunter2@", "does not exist")],
)
def test_a_database_or_role_that_is_not_there_is_one_line(postgres_url, before, after, why):
    url = after.join(postgres_url.rsplit(before, 1))
    with closing(open_history(url)) as history, pytest.raises(HistoryUnavailableError) as caught:
        history.upgrade()
    assert why in one_line(caught)
    assert "hunter2" not in str(caught.value)


@pytest.mark.postgresql
def test_a_connection_that_is_cut_in_the_middle_of_writing_stores_nothing_twice(
    postgres_url, admin
):
    with closing(open_history(postgres_url)) as history:
        history.upgrade()
        cutting = threading.Event()

        def cuts():
            with psycopg.connect(postgres_url, autocommit=True) as other:
                while not cutting.wait(0.002):
                    other.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE datname = 'mailer' AND pid <> pg_backend_pid() AND query LIKE '%new_%'"
                    )

        thread = threading.Thread(target=cuts)
        thread.start()
        failed = []
        for first in range(0, 4_000, 500):
            chunk = [event(n) for n in range(first, first + 500)]
            for _ in range(20):
                try:
                    history.write(chunk)
                except HistoryUnavailableError as exc:
                    failed.append(str(exc))
                else:
                    break
        cutting.set()
        thread.join()
        for first in range(0, 4_000, 500):
            history.write([event(n) for n in range(first, first + 500)])
        assert failed
        assert "\n" not in "".join(failed)
        assert history.counts("spring") == {"accepted": 4_000}
        (found,) = history.trace("p77@example.org")
        assert len(found.steps) == 1


@pytest.mark.postgresql
def test_a_partition_of_somebody_elses_is_left_alone(postgres_url, admin):
    with closing(open_history(postgres_url)) as history:
        history.upgrade()
        history.write([event(0)])
        admin.execute("CREATE TABLE events_before PARTITION OF events FOR VALUES FROM (0) TO (9)")

        history.drop_before(AT + 40 * 86400)

    left = admin.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'events'::regclass"
    ).fetchall()
    assert left == [("events_before",)]


@pytest.mark.postgresql
def test_what_happened_in_other_months_has_its_partition(postgres_url, admin):
    with closing(open_history(postgres_url)) as history:
        history.upgrade()
        for number, at in enumerate((AT - 400 * 86400, AT, AT + 365 * 86400 * 20)):
            history.write([event(number)._replace(at=at)])
        with suppress(HistoryUnavailableError):
            history.drop_before(AT - 1)
        assert {one.position for one in history.export("spring")} == {1, 2}
