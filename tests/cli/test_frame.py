"""What holds for every command: help with an example, one line of complaint, exit codes, pipes."""

import fcntl
import os
import signal
import subprocess
import sys
import termios

import click
import pytest

from mailer.cli.main import cli, hint
from mailer.cli.session import Session
from mailer.errors import LedgerUnavailableError
from tests.servers.waiting import eventually


def every_command():
    """The words of each command there is."""
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        yield (name,)
        if isinstance(command, click.Group):
            yield from ((name, inner) for inner in command.list_commands(context))


COMMANDS = list(every_command())


def command_of(words):
    context = click.Context(cli)
    command = cli.get_command(context, words[0])
    return command if len(words) == 1 else command.get_command(context, words[1])


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(words):
    command = command_of(words)
    assert "Example:" in command.help
    assert f"mailer {' '.join(words)}" in command.help
    assert command.get_short_help_str(200)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_option_says_what_it_does(words):
    silent = [
        option.name
        for option in command_of(words).params
        if isinstance(option, click.Option) and not option.help
    ]
    assert silent == []


def test_help_lists_every_command(mailer):
    done = mailer("--help")
    assert done.code == 0
    for words in COMMANDS:
        assert words[0] in done.out


def test_version_is_the_packages(mailer):
    from importlib.metadata import version  # noqa: PLC0415

    assert mailer("--version").out == f"mailer {version('celery-mailer')}\n"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["stauts"], "there is no command 'stauts'; did you mean 'status'?; see mailer --help"),
        (
            ["dead", "lst"],
            "there is no command 'lst'; did you mean 'list'?; see mailer dead --help",
        ),
        (["send", "x"], "Missing argument 'RECIPIENTS'; see mailer send --help"),
        (
            ["status", "--local", "x"],
            "No such option '--local'; it goes before the command: mailer --local … COMMAND",
        ),
        (
            ["explain", "HELO", "250 ok"],
            (
                "Invalid value for STAGE: 'HELO' is none of connect EHLO STARTTLS AUTH MAIL RCPT DATA "
                "final any; see mailer explain --help"
            ),
        ),
        (
            ["send", "x", "-t", "hello", "--set", "oops", "people.csv"],
            "Invalid value for --set: 'oops' is not KEY=VALUE; see mailer send --help",
        ),
        (
            ["send", "x", "-t", "hello", "--at", "tomorrowish", "people.csv"],
            (
                "Invalid value for --at: 'tomorrowish' is no time; "
                'write "2026-05-01 08:00", "08:00" or "+2h"; see mailer send --help'
            ),
        ),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(mailer, words, complaint):
    done = mailer(*words)
    assert (done.code, done.err) == (2, f"mailer: {complaint}\n")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["status", "nosuch"], "no campaign 'nosuch'; `mailer status` lists them"),
        (
            ["send", "x", "-t", "hello", "gone.csv"],
            "cannot read gone.csv: No such file or directory",
        ),
        (
            ["--config", "gone.toml", "status"],
            "there is no configuration file gone.toml",
        ),
        (["dead", "show", "nosuch"], "no dead letter 'nosuch'; `mailer dead list` shows them"),
        (
            ["accounts", "start", "primry"],
            "mailer.toml has no account 'primry'; did you mean 'primary'?",
        ),
    ],
)
def test_failure_is_one_line_and_code_1(mailer, words, complaint):
    done = mailer(*words)
    assert (done.code, done.err, done.out) == (1, f"mailer: {complaint}\n", "")


def test_every_fault_of_the_configuration_has_its_line(mailer, place):
    (place / "mailer.toml").write_text("batch_size = 0\nredos = 1\n")
    done = mailer("status")
    assert done.code == 1
    assert done.err.splitlines() == [
        "mailer: mailer.toml: batch_size: must be ≥ 1, got 0",
        "mailer: mailer.toml: redos: unknown key; did you mean 'redis'?",
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["send", "x", "-t", "hello", "--set", "season=May", "people.csv"],
        ["dead", "list"],
    ],
)
def test_redis_that_is_down_is_one_clear_line(mailer, words):
    done = mailer(*words, environ={"MAILER_REDIS": "redis://127.0.0.1:1/0"})
    assert done.code == 1
    assert len(done.err.splitlines()) == 1
    assert "127.0.0.1:1" in done.err
    assert "mailer run" in done.err


def test_a_folder_without_a_configuration_is_named_where_redis_is_only_guessed(
    mailer, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mailer.toml").unlink()
    said = hint(["status"], LedgerUnavailableError("away"), Session())
    assert said.startswith(f"there is no mailer.toml in {tmp_path}, so localhost was tried")
    told = mailer("status", environ={"MAILER_REDIS": "redis://127.0.0.1:1/0"})
    assert "there is no mailer.toml" not in told.err


def test_an_account_is_missed_where_the_configuration_is(mailer, place):
    (place / "mailer.toml").unlink()
    done = mailer("accounts", "check", "primary")
    assert f"there is no mailer.toml in {place}, and so no account 'primary'" in done.err


def test_reader_that_goes_away_is_no_error(place):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "mailer", "--help"],
        cwd=place,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def unread(pipe):
    """Octets in a pipe that nobody has read yet."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_interrupt_ends_a_command_in_one_line_with_130(place):
    process = subprocess.Popen(
        [sys.executable, "-m", "mailer", "suppress", "import", "-"],
        cwd=place,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdin.write("email\n")
    process.stdin.flush()
    eventually(lambda: unread(process.stdin) == 0)  # it is at work
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err.strip()) == (130, "", "mailer: interrupted")


def test_debug_shows_where_an_error_comes_from(place):
    done = subprocess.run(
        [sys.executable, "-m", "mailer", "--debug", "status", "nosuch"],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" in done.stderr
    assert (
        done.stderr.splitlines()[-1] == "mailer: no campaign 'nosuch'; `mailer status` lists them"
    )


def test_nothing_is_coloured_in_a_pipe(mailer):
    for words in (["status"], ["accounts", "list"], ["dead", "list"], ["--help"]):
        assert "\x1b" not in mailer(*words, environ={"TERM": "xterm-256color"}).out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_end_well(place, shell):
    done = subprocess.run(
        [sys.executable, "-m", "mailer"],
        cwd=place,
        env={**os.environ, "_MAILER_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "mailer" in done.stdout


def test_a_folder_that_mailer_run_made_is_pointed_at(mailer, place):
    (place / "mailer.toml").write_text('redis = "redis://127.0.0.1:1/0"\n')
    (place / ".mailer").mkdir()
    done = mailer("status")
    assert done.code == 1
    assert "mailer --local .mailer status" in done.err


@pytest.mark.parametrize("heavy", ["redis", "celery", "pydantic", "rich", "jinja2"])
def test_the_version_is_said_without_loading_what_it_does_not_need(tmp_path, heavy):
    script = (
        "import sys\nfrom mailer.cli.main import cli\n"
        "cli.main(['--version'], prog_name='mailer', standalone_mode=False)\n"
        f"sys.exit({heavy!r} in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=False).returncode == 0


_COMMAND = """
import sys
{before}
from mailer.cli.main import cli
from mailer.cli.session import Session
cli.main({words}, prog_name="mailer", standalone_mode=False, obj=Session())
loaded = [name for name in sys.modules if name.startswith("opentelemetry")]
import opentelemetry.metrics, opentelemetry.sdk.metrics  # they are there for whoever wants them
from redis.observability.providers import OTEL_AVAILABLE
print(len(loaded), OTEL_AVAILABLE)
"""


@pytest.mark.parametrize("before", ["", "import opentelemetry.metrics"])
def test_opentelemetry_costs_no_command_that_makes_no_traces(redis_url, tmp_path, before):
    pytest.importorskip("opentelemetry.sdk")
    script = _COMMAND.format(before=before, words=["status"])
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "MAILER_REDIS": redis_url},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded, is_redis_told = done.stdout.split()[-2:]
    assert (loaded != "0", is_redis_told) == (bool(before), str(bool(before)))
