"""`mailer web`: serve health, metrics, the console, and what recipients and providers reach."""

import sys
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

import click

from mailer.cli.group import HelpfulGroup
from mailer.cli.output import say
from mailer.cli.session import Session
from mailer.config import Settings
from mailer.errors import ConfigError, InputError


@click.group(cls=HelpfulGroup, invoke_without_command=True)
@click.option("--host", metavar="ADDRESS", help="Where to listen instead of [web] host.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Where to listen instead of [web] port."
)
@click.option(
    "--open-console",
    is_flag=True,
    help="Let everybody on this machine use the console without a login; on loopback only.",
)
@click.pass_context
def web(context: click.Context, host: str | None, port: int | None, *, open_console: bool) -> None:
    """Serve the console, /healthz, /readyz, /metrics, unsubscribing and webhooks until stopped.

    Listens on loopback unless told otherwise: put a proxy with TLS before it. The console is there
    for those whom [web] users, users_file or trusted_header name.

    \b
    Example:
      mailer web --open-console
      mailer web user ada --role operator >> users.txt
    """  # noqa: D301 - click's mark against rewrapping
    if context.invoked_subcommand is None:
        _serve(context.obj, host, port, open_console=open_console)


@web.command(name="hash", short_help="Make the hash of a password.")
def hash_() -> None:
    """Ask for a password, or read it from standard input, and print its hash.

    \b
    Example:
      mailer web hash
    """  # noqa: D301
    say(_hashed())


@web.command(short_help="Make a line of [web] users_file.")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["viewer", "operator"]),
    default="viewer",
    show_default=True,
    help="A viewer looks; an operator also acts.",
)
def user(name: str, role: str) -> None:
    """Ask for the password of NAME, and print the line that lets them in.

    \b
    Example:
      mailer web user ada --role operator >> users.txt
    """  # noqa: D301
    if not name.strip() or set(name) & set(":\r\n#*") or name != name.strip():
        raise InputError(f"{name!r} is no name here: without :, # and *, and not empty")
    say(f"{name}:{role}:{_hashed()}")


def _hashed() -> str:
    from mailer.config.passwords import hashed  # noqa: PLC0415 - only here

    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if len(password) < 8:
        raise InputError("the password is too short: take eight characters or more")
    return hashed(password)


def _serve(session: Session, host: str | None, port: int | None, *, open_console: bool) -> None:
    uvicorn, patient, application, server = _installed()
    from mailer.web.listening import listen  # noqa: PLC0415

    settings = session.settings
    where = host or settings.web.host, settings.web.port if port is None else port
    if open_console:
        _check_open(settings, where[0])
    served = application(settings, open_console=open_console)
    config = uvicorn.Config(
        served,
        http=patient,
        log_level="warning",  # no line a request: addresses hold tokens
        access_log=False,
        server_header=False,
        # The peer stays the peer: which proxies are believed is said in [web] trusted_proxies.
        proxy_headers=False,
        timeout_keep_alive=15,
        limit_concurrency=1000,
        timeout_graceful_shutdown=5,
    )
    if settings.guesses_redis:
        say(f"mailer: {settings.unfound}: Redis is looked for on localhost", err=True)
    place, sockets = listen(*where)
    say(f"listening on http://{place}")
    with suppress(KeyboardInterrupt):  # that is how one stops it
        server(config, served).run(sockets=sockets)


def _check_open(settings: Settings, host: str) -> None:
    if settings.web.asks_who:
        raise ConfigError(
            "--open-console: the configuration says who may see the console; do without it"
        )
    if not (host == "localhost" or _is_loopback(host)):
        raise ConfigError(
            f"--open-console: {host} is reached from elsewhere, too; listen on 127.0.0.1, or say in "
            "[web] users who may see the console"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _installed() -> tuple[Any, Any, Any, Any]:
    try:
        import uvicorn  # noqa: PLC0415 - an extra

        from mailer.web.application import application  # noqa: PLC0415
        from mailer.web.patience import Patient  # noqa: PLC0415
        from mailer.web.serving import Server  # noqa: PLC0415
    except ModuleNotFoundError as exc:
        raise ConfigError(f"{exc.name} is not installed: pip install 'celery-mailer[web]'") from exc
    return uvicorn, Patient, application, Server
