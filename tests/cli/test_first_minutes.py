"""From an empty folder to the first message: `init`, `run` that asks, `--test-to`, what is in the way."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from email import message_from_bytes, policy

import pytest

from mailer.cli import main
from mailer.config import load
from mailer.config.presets import presets
from mailer.mail.payload import decode
from mailer.store.breaker import Breaker
from mailer.store.connection import connect
from tests.conftest import free_port
from tests.servers.scripted import ScriptedServer
from tests.servers.waiting import eventually

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def mailbox():
    """A server that wants a login, and keeps what it gets."""
    with ScriptedServer({"ada": "right"}) as server:
        yield server


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """An empty folder, to be in."""
    for name in [name for name in os.environ if name.startswith("MAILER_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def run(*words):
    """The exit code of `mailer` with *words*, in this process."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code


def typed(words, answers, seconds=90):
    """Run `mailer` at a terminal and type each of *answers* when its question stands there."""
    pid, terminal = pty.fork()
    if not pid:
        os.execv(sys.executable, [sys.executable, "-m", "mailer", *words])
    seen, waiting, deadline = "", list(answers), time.monotonic() + seconds
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                seen += os.read(terminal, 65536).decode("utf-8", "replace")
            except OSError:  # the other end is closed
                break
        asked = waiting and waiting[0][0] in seen.rpartition("\0")[2]
        # What is typed before the echo is off is thrown away, as everywhere.
        if asked and ("Password" not in waiting[0][0] or not _echoes(terminal)):
            os.write(terminal, f"{waiting.pop(0)[1]}\n".encode())
            seen += "\0"
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen.replace("\0", "")


def _echoes(terminal):
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)


# init


def test_init_writes_a_folder_that_works_as_it_stands(empty, capsys):
    assert run("init") == 0
    out = capsys.readouterr().out
    assert "mailer run first --template newsletter people.csv" in out
    assert load(empty / "mailer.toml", {}).account("primary").host == "smtp.example.org"
    assert "Hello Ada" in (empty / "preview.html").read_text()
    assert run("send", "first", "--template", "newsletter", "people.csv", "--dry-run") == 0
    assert run("preview", "newsletter", "people.csv") == 0


def test_what_init_writes_has_no_fault_to_an_expert_s_eye(empty, capsys):
    assert run("init") == 0
    capsys.readouterr()
    assert run("lint", "newsletter", "people.csv", "--json") == 0
    found = {(one["level"], one["rule"]) for one in json.loads(capsys.readouterr().out)}
    # The text is made of the HTML, one file to change; how list and sender are named is theirs to choose.
    assert found == {("advice", rule) for rule in ("text-part", "list-id", "feedback-id")}


def test_the_key_that_init_writes_is_its_owner_s_and_signs_links(empty, capsys):
    assert run("init") == 0
    assert (empty / "unsubscribe.key").stat().st_mode & 0o777 == 0o600
    one, other = (
        (run("init", name), (empty / name / "unsubscribe.key").read_text())[1] for name in "ab"
    )
    assert one != other
    assert "https://mail.example.org/u/" in (empty / "preview.html").read_text()


@pytest.mark.parametrize("preset", sorted(presets()))
def test_init_knows_every_preset(empty, preset, capsys):
    assert run("init", "there", "--preset", preset) == 0
    assert load(empty / "there/mailer.toml", {}).account("primary").preset == preset
    assert "cd there" in capsys.readouterr().out


def test_init_overwrites_nothing_and_names_what_is_there(empty, capsys):
    (empty / "mailer.toml").write_text("mine = 1")
    assert run("init") == 1
    assert "mailer.toml is there already; nothing was written" in capsys.readouterr().err
    assert [one.name for one in empty.iterdir()] == ["mailer.toml"]


def test_a_preset_that_nobody_knows_is_a_usage_error(empty, capsys):
    assert run("init", "--preset", "sess") == 2
    assert "known are" in capsys.readouterr().err


# run asks


RUN = ("run", "first", "--template", "newsletter", "people.csv")


@pytest.fixture
def begun(empty):
    """A folder as `init` leaves it, without its mailer.toml."""
    assert run("init") == 0
    (empty / "mailer.toml").unlink()
    return empty


def test_without_a_terminal_what_is_missing_is_said(begun, capsys):
    assert run(*RUN) == 1
    err = capsys.readouterr().err
    assert "there is no mailer.toml here" in err
    assert "mailer init" in err


def test_at_a_terminal_it_asks_checks_the_login_writes_the_file_and_sends(begun, mailbox):
    code, seen = typed(
        RUN,
        [
            ("Server", f"127.0.0.1:{mailbox.port}"),
            ("User", "ada"),
            ("Password", "wrong"),
            ("Server", f"127.0.0.1:{mailbox.port}"),
            ("User", "ada"),
            ("Password", "right"),
            ("Mail is from", "Shop <news@shop.example>"),
            ("Keep the password", "file"),
        ],
    )
    assert code == 0, seen
    assert "That did not work" in seen
    assert "The login works" in seen
    assert "wrong" not in seen
    assert "right" not in seen, "a password is not echoed"
    assert sorted(to for to, _ in mailbox.kept) == ["ada@example.org", "grace@example.org"]
    assert (begun / ".smtp-password").stat().st_mode & 0o777 == 0o600
    assert "right" not in (begun / "mailer.toml").read_text()
    assert run(*RUN) == 0, "and again without a question"


ANSWERS = [
    ("User", "ada"),
    ("Password", "right"),
    ("Mail is from", "Shop <news@shop.example>"),
]


def test_what_init_has_written_names_no_server_and_is_asked_for_too(empty, mailbox, capsys):
    assert run("init") == 0
    assert run(*RUN) == 1
    assert "is as mailer init wrote it" in capsys.readouterr().err
    answers = [("Server", f"127.0.0.1:{mailbox.port}"), *ANSWERS, ("Keep the password", "file")]
    code, seen = typed(RUN, answers)
    assert code == 0, seen
    assert "names no server yet" in seen
    assert len(mailbox.kept) == 2
    # What init wrote about leaving the list stands, with the sender for the placeholder and no page yet.
    _, message = mailbox.kept[0]
    assert message["List-Unsubscribe"] == "<mailto:news@shop.example?subject=unsubscribe>"
    assert "example.org" not in message["List-Unsubscribe"]
    assert (empty / "unsubscribe.key").exists()
    assert load(empty / "mailer.toml", {}).unsubscribe.mailto.startswith("news@shop.example")
    assert run(*RUN) == 0, "and again without a question"


def test_a_file_that_somebody_has_edited_is_not_written_over(empty, capsys):
    assert run("init") == 0
    file = empty / "mailer.toml"
    text = file.read_text().replace("<you@example.org>", "<ada@example.org>")
    file.write_text(text.replace("[accounts.primary]", "[accounts.other]"))
    before = file.read_text()
    code, seen = typed((*RUN, "--account", "primary"), [])
    assert code == 1
    assert "no account 'primary'" in seen.replace("\r\n", " ")
    assert file.read_text() == before


def test_a_password_may_be_in_the_systems_keyring(empty, mailbox, monkeypatch):
    """With a real backend, which keeps it in a file."""
    pytest.importorskip("keyrings.alt")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyrings.alt.file.PlaintextKeyring")
    monkeypatch.setenv("XDG_DATA_HOME", str(empty / "data"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # an environment that is not activated
    assert run("init") == 0
    answers = [("Server", f"127.0.0.1:{mailbox.port}"), *ANSWERS, ("Keep the password", "keyring")]
    code, seen = typed(RUN, answers)
    assert code == 0, seen
    text = (empty / "mailer.toml").read_text()
    assert "password_command" in text
    assert "right" not in text
    assert list((empty / "data").rglob("keyring_pass.cfg"))
    assert run("run", "second", "--template", "newsletter", "people.csv") == 0, "without a question"
    assert len(mailbox.kept) == 4


def test_a_password_that_is_not_kept_is_asked_for_again(begun, mailbox):
    answers = [
        ("Server", f"127.0.0.1:{mailbox.port}"),
        ("User", "ada"),
        ("Password", "right"),
        ("Mail is from", "Shop <news@shop.example>"),
        ("Keep the password", "no"),
    ]
    assert typed(RUN, answers)[0] == 0
    assert not (begun / ".smtp-password").exists()
    again = ("run", "second", "--template", "newsletter", "people.csv")
    code, seen = typed(again, [("Password of primary", "right")])
    assert code == 0, seen
    assert len(mailbox.kept) == 4


# what is in the way


def configured(folder, port):
    (folder / "password").write_text("wrong\n")
    (folder / "password").chmod(0o600)
    (folder / "mailer.toml").write_text(
        'sender = "Shop <news@shop.example>"\n[accounts.primary]\n'
        f'url = "smtp://ada@127.0.0.1:{port}"\npassword_file = "password"\n'
    )


def test_a_wrong_password_is_said_ends_with_1_and_once_mended_the_same_command_goes_on(
    begun, mailbox, capsys
):
    configured(begun, mailbox.port)
    assert run(*RUN) == 1
    first = capsys.readouterr().err
    assert "2 recipients did not get it" in first
    assert "account primary is stopped (535" in first
    assert run(*RUN) == 1
    assert "account primary is stopped" in capsys.readouterr().err
    (begun / "password").write_text("right\n")
    assert run(*RUN) == 0
    told = capsys.readouterr()
    assert "logged in, and runs again" in told.err
    assert "2 messages of before queued again" in told.err
    assert sorted(to for to, _ in mailbox.kept) == ["ada@example.org", "grace@example.org"]


def test_what_is_waited_for_is_said_while_it_waits(begun, tmp_path):
    configured(begun, free_port())  # nobody listens there
    (begun / "password").write_text("right\n")
    with (tmp_path / "err").open("wb") as err:
        process = subprocess.Popen([sys.executable, "-m", "mailer", *RUN], stderr=err)

    def said():
        return "account primary waits until" in (tmp_path / "err").read_text()

    try:
        eventually(said)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 130
    assert "Traceback" not in (tmp_path / "err").read_text()


# send


def queued(client, campaign):
    found = client.keys(f"mailer:payload:{campaign}:*")
    return [entry.message for key in found for entry in decode(client.get(key))]


def test_test_to_sends_the_first_rows_to_somebody_else_outside_the_campaign(mailer, client):
    words = ("send", "spring", "-t", "hello", "--set", "season=May", "people.csv")
    for _ in range(2):
        done = mailer(*words, "--test-to", "me@shop.example", "--rows", "2")
        assert done.code == 0, done.err
        assert "2 test messages queued for me@shop.example" in done.out
    sent = queued(client, "send.test")
    assert [one.forward_path for one in sent] == ["me@shop.example"] * 4
    read = [message_from_bytes(one.content[0], policy=policy.default) for one in sent]
    assert {one["Subject"] for one in read} == {"[Test] Hello Ada", "[Test] Hello Bob"}
    assert len({one["Message-ID"] for one in read}) == 4
    assert all(one["List-Unsubscribe"] is None for one in read)
    assert mailer("status", "spring").code == 1, "the campaign does not exist"


def test_send_on_a_stopped_account_says_so(mailer, place, redis_url):
    breaker = Breaker(connect(redis_url))
    breaker.stop("primary", "operator", time.time())
    done = mailer("send", "spring", "-t", "hello", "--set", "season=May", "people.csv")
    assert done.code == 0
    assert "account primary is stopped (operator)" in done.err
    assert "mailer accounts start primary" in done.err


def test_ctrl_c_in_send_says_what_is_queued_and_how_it_is_stopped(mailer, place, redis_url):
    rows = "".join(f"r{n}@example.org,N\n" for n in range(200_000))
    (place / "many.csv").write_text(f"email,name\n{rows}")
    words = ("send", "spring", "-t", "hello", "--set", "season=May", "--no-check", "many.csv")
    environment = {key: value for key, value in os.environ.items() if key[:7] != "MAILER_"}
    process = subprocess.Popen(
        [sys.executable, "-m", "mailer", *words],
        cwd=place,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    client = connect(redis_url)
    eventually(lambda: client.get("mailer:status:spring"))
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    assert "recipients of spring are queued and being sent" in err
    assert "mailer pause spring or mailer cancel spring stops it" in err
    total = json.loads(mailer("status", "spring", "--json").out)["total"]
    assert f"interrupted; {total:,} recipients" in err
