"""The first account, asked for at a terminal: server, user and password, tried before they are kept."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from email.utils import parseaddr
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import click

from mailer.cli import init
from mailer.cli.output import say
from mailer.cli.session import Session
from mailer.config import Settings
from mailer.config.presets import presets
from mailer.config.secrets import offer
from mailer.deliver import probe
from mailer.errors import ConfigError, MailerError

VARIABLE: Final = "SMTP_PASSWORD"
_FILE: Final = Path("mailer.toml")
_KEPT: Final = Path(".smtp-password")
_SERVICE: Final = "celery-mailer"
_ATTEMPTS: Final = 3


def ensure(session: Session) -> None:
    """Have an account to send with: ask for one at a terminal, else say what is missing.

    A ``mailer.toml`` that is as `mailer init` wrote it names nobody's server: what is answered is
    written over it. Raises `ConfigError`.
    """
    file = session.configured.file
    is_starter = file is not None and init.is_starter(file)
    if session.configured.accounts and not is_starter:
        return
    if (file and not is_starter) or not sys.stdin.isatty():
        if is_starter:
            raise ConfigError(f"{file} is as mailer init wrote it: say there which server sends")
        where = file or "there is no mailer.toml here, and"
        raise ConfigError(
            f"{where} no account to send with; add [accounts.primary] with a url, "
            "or begin with: mailer init"
        )
    there = f"{file} names no server yet" if file else "There is no mailer.toml here"
    say(f"{there}. Which server sends your mail?\n")
    for _ in range(_ATTEMPTS):
        account, password = _asked()
        if _works(account, password):
            break
    else:
        raise ConfigError("no login succeeded; nothing was written")
    _write(file or _FILE, account, password)
    session.renew()


def ask_for_passwords(settings: Settings, names: Iterable[str]) -> None:
    """Ask at a terminal for passwords that no variable holds yet; raises `ConfigError` elsewhere."""
    for name in names:
        for secret in settings.account(name).secrets:
            fault = secret.check()
            if fault and secret.env and sys.stdin.isatty():
                offer(secret.env, click.prompt(f"Password of {name}", hide_input=True))
            elif fault:
                raise ConfigError(f"account {name}: {fault}")


def _asked() -> tuple[dict[str, str], str]:
    """What a table [accounts.primary] needs, and the password."""
    server = click.prompt("Server (host, host:port, or a provider such as ses or gmail)").strip()
    user = click.prompt("User (empty for none)", default="", show_default=False).strip()
    account = {"preset": server} if server in presets() else {"url": _url(server)}
    if not user:
        return account, ""
    if "url" in account:
        scheme, _, rest = account["url"].partition("://")
        account["url"] = f"{scheme}://{quote(user, safe='')}@{rest}"
    else:
        account["username"] = user
    return account | {"password_env": VARIABLE}, click.prompt("Password", hide_input=True)


def _url(server: str) -> str:
    if "://" in server:
        return server
    host, _, port = server.partition(":")
    if port == "465":
        return f"smtps://{host}:465"
    if host in ("localhost", "127.0.0.1", "::1"):
        return f"smtp://{host}:{port or 25}"
    return f"smtp+starttls://{host}:{port or 587}"


def _works(account: dict[str, str], password: str) -> bool:
    """Log in once, and say what came of it."""
    if password:
        offer(VARIABLE, password)
    try:
        settings = Settings.model_validate({"accounts": {"primary": account}})
        found = probe.check(settings, settings.account("primary"))
    except (MailerError, ValueError) as error:
        say(f"That cannot be used: {error}\n")
        return False
    if found.judgement is not None:
        say(f"That did not work: {found.reason}\n")
        return False
    say("The login works.\n" if password else "The server answers.\n")
    return True


def _write(file: Path, account: dict[str, str], password: str) -> None:
    sender = click.prompt("Mail is from (such as Shop <news@shop.example>)").strip()
    secret = _kept(file.parent, account, password) if password else {}
    table: dict[str, Any] = {k: v for k, v in account.items() if k != "password_env"} | secret
    lines = [f"sender = {_quoted(sender)}", "", "[accounts.primary]"]
    lines += [f"{key} = {_quoted(value)}" for key, value in table.items()]
    if file.exists():
        lines += ["", *_rest(file.read_text(encoding="utf-8"), parseaddr(sender)[1])]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    say(f"written: {file}\n")


def _rest(starter: str, mailbox: str) -> Iterator[str]:
    """What `mailer init` has written below the account, for the sender *mailbox*; no page yet."""
    below = starter.partition("[accounts.primary]")[2].partition("\n\n")[2]
    for line in below.splitlines():
        is_page = line.startswith("url = ")
        yield f"# {line}" if is_page else line.replace("you@example.org", mailbox)


def _kept(folder: Path, account: dict[str, str], password: str) -> dict[str, Any]:
    """Where the password is from now on: nowhere, unless that is wanted."""
    keyring = _keyring()
    places = ["no", "file"] + (["keyring"] if keyring else [])
    where = click.prompt("Keep the password?", type=click.Choice(places), default="no")
    if where == "file":
        descriptor = os.open(folder / _KEPT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(password + "\n")
        return {"password_file": str(_KEPT)}
    if where == "keyring":
        user = account.get("username") or account["url"]
        done = subprocess.run(  # noqa: S603 - ours
            [*keyring, "set", _SERVICE, user], input=password, text=True, check=False
        )
        if done.returncode:
            raise ConfigError("the keyring does not take the password; nothing was written")
        return {"password_command": [*keyring, "get", _SERVICE, user]}
    return {"password_env": VARIABLE}


def _keyring() -> list[str]:
    """The words that call the system's keyring; none where `celery-mailer[keyring]` is not installed."""
    if shutil.which("keyring"):
        return ["keyring"]
    # An environment that is not activated has it all the same.
    return [sys.executable, "-m", "keyring"] if find_spec("keyring") else []


def _quoted(value: object) -> str:
    """*value* as TOML."""
    if isinstance(value, list):
        return "[" + ", ".join(map(_quoted, value)) + "]"
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
