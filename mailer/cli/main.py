"""What every command has in common: global options, errors in one line, exit codes.

====  ==========================================================================
code  meaning
====  ==========================================================================
0     done
1     it could not be done; standard error says why in one line
2     the command line is wrong; standard error says what is expected
70    a fault of this program; ``mailer --debug …`` shows where
130   interrupted
141   whoever read the output went away
====  ==========================================================================
"""

import errno
import gc
import logging
import os
import shlex
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

from mailer.cli.group import MailerGroup
from mailer.cli.lines import broken, pasteable
from mailer.cli.session import Session
from mailer.errors import (
    BrokerUnavailableError,
    ForeignRecordError,
    LedgerUnavailableError,
    MailerError,
    RedisRefusesError,
    RedisSilentError,
)
from mailer.mail.foreign import shown

_YOUNG = 50_000
"""Objects made until the collector looks at them: what a command loads stays below it."""

_USED_UP = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE)
"""Not the program's fault: the machine has no room, or no files, left."""

OK, FAILED, USAGE, FAULT, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 70, 130, 141

_NO_FILE_HINT = (
    "{}, so localhost was tried: go to the file's folder, or name it with mailer --config FILE; "
    "or do without Redis: mailer run"
)
_REDIS_HINT = "start it, say where it is with redis in mailer.toml, or do without: mailer run"
_BROKER_HINT = "start it, or say where it is with broker in mailer.toml"
_FOLDER_HINT = "is it the one that `mailer run` made here that you mean? mailer --local .mailer {}"


@click.group(
    cls=MailerGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. "
    "More: docs/cli.md, docs/configuration.md.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Configuration to use instead of $MAILER_CONFIG or ./mailer.toml.",
)
@click.option(
    "--local",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Use the embedded server that keeps its data in FOLDER, as `mailer run` does.",
)
@click.option("--debug", is_flag=True, help="Show where an error comes from.")
@click.version_option(
    package_name="celery-mailer", prog_name="mailer", message="%(prog)s %(version)s"
)
@click.pass_context
def cli(context: click.Context, config: Path | None, local: Path | None, *, debug: bool) -> None:
    """Bulk mail on Celery: every message sent once, with an answer for every recipient.

    \b
    Example:
      mailer send spring-2026 --template newsletter --from news@shop.example people.csv
      mailer status spring-2026 --watch
    """  # noqa: D301 - click's mark against rewrapping
    del debug  # read in `main`, where errors arrive
    # `--version` loads no settings.
    from mailer.config.clock import unknown_zone  # noqa: PLC0415
    from mailer.config.neighbours import intrusion  # noqa: PLC0415

    for said in filter(None, (intrusion(), unknown_zone())):
        click.echo(f"mailer: {shown(said)}", err=True)
    session = context.with_resource(context.ensure_object(Session))
    session.place(config, local)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line and exit with its code; no traceback reaches the user unasked."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    _whole_streams()
    # Else a sixth of a short command's time is the collector's, looking at modules that were just loaded.
    gc.set_threshold(_YOUNG)
    code = OK
    try:
        code = _run(words)
        sys.stdout.flush()
    except BrokenPipeError:
        _let_go()  # nobody reads any more: say nothing
        code = BROKEN_PIPE
    except OSError as error:
        _let_go()
        if code == OK:  # else it is said already
            click.echo(f"mailer: cannot write the output: {error.strerror}", err=True)
            code = FAILED
    sys.exit(code)


def _whole_streams() -> None:
    """Put /dev/null where a standard stream is closed (``<&-``).

    Else the next socket would get its number, and whatever writes there would write to a server.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - for good


def _let_go() -> None:
    """Write no more to standard output, nor flush at exit what could not be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(words: list[str]) -> int:  # noqa: PLR0911 - one line for each way to end
    session = Session()
    _hear_the_log()
    try:
        result = cli.main(words, prog_name="mailer", standalone_mode=False, obj=session)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return USAGE
    except click.ClickException as error:
        return _complain(words, error, _usage(error), error.exit_code, session)
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("mailer: interrupted", err=True)
        return INTERRUPTED
    except SystemExit as ended:
        # click ends by itself after a completion script, and when nobody reads any more: it marks that.
        if type(sys.stdout).__name__.endswith("PacifyFlushWrapper"):
            raise BrokenPipeError from None
        return ended.code if isinstance(ended.code, int) else OK
    except Exception as error:  # noqa: BLE001 - the promise: no traceback, unless asked for
        text, code = _judged(words, error, session)
        return _complain(words, error, text, code, session)
    return result if isinstance(result, int) else OK


def _judged(words: list[str], error: Exception, session: Session) -> tuple[str, int]:
    """What is said of *error*, and the exit code."""
    if isinstance(error, LedgerUnavailableError):
        is_there = isinstance(error, (RedisRefusesError, RedisSilentError))
        return (f"{error}" if is_there else f"{error}; {hint(words, error, session)}"), FAILED
    if isinstance(error, MailerError):
        return _told(session, error), FAILED
    if isinstance(error, OSError) and error.errno in _USED_UP:
        return _used_up(error), FAILED
    return f"unexpected {type(error).__name__}: {error} (mailer --debug … shows where)", FAULT


def _used_up(error: OSError) -> str:
    """What this machine has no more of, and where it was wanted."""
    place = f" ({error.filename})" if error.filename else ""
    return (
        f"{error.strerror}{place}: free some, and type the same again; files are written in the "
        "current folder and, while a list is read, in $TMPDIR, else /tmp"
    )


class _Complaints(logging.Handler):
    """What the package logs while a command runs, as all complaints are written."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line on what is standard error just now: tests change it."""
        click.echo(broken(f"mailer: {shown(pasteable(record.getMessage()))}"), err=True)


def _hear_the_log() -> None:
    log = logging.getLogger("mailer")
    if not logging.root.handlers and not any(isinstance(one, _Complaints) for one in log.handlers):
        log.addHandler(_Complaints(logging.WARNING))


def hint(words: list[str], error: LedgerUnavailableError, session: Session) -> str:
    """What to do about a Redis, or a broker, that cannot be reached."""
    if isinstance(error, BrokerUnavailableError):
        return _BROKER_HINT
    if "--local" not in words and Path(".mailer").is_dir():
        return _FOLDER_HINT.format(shlex.join(words))
    settings = session.configured
    if settings.guesses_redis:
        return _NO_FILE_HINT.format(settings.unfound)
    return _REDIS_HINT


def _told(session: Session, error: MailerError) -> str:
    """What is wrong; which key of Redis it is that holds what mailer did not write there."""
    if not isinstance(error, ForeignRecordError):
        return str(error)
    from mailer.operate.health import foreign  # noqa: PLC0415 - in trouble only

    return foreign(session.settings) or str(error)


def _complain(words: list[str], error: Exception, text: str, code: int, session: Session) -> int:
    if "--debug" in words:
        traceback.print_exception(error)
    for line in text.splitlines() or [type(error).__name__]:
        click.echo(broken(f"mailer: {shown(pasteable(line, session))}"), err=True)
    return code


def _usage(error: click.ClickException) -> str:
    """The complaint with a pointer to the help of the command it is about."""
    text = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    if isinstance(error, click.NoSuchOption) and error.option_name in {"--config", "--local"}:
        # Without click's guess at another option: this one exists.
        what = f"No such option {error.option_name!r}"
        return f"{what}; it goes before the command: mailer {error.option_name} … COMMAND"
    if isinstance(error, click.UsageError) and context is not None:
        return f"{text}; see {context.command_path} --help"
    return text
