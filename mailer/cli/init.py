"""`mailer init`: a folder to start from."""

import shlex
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from secrets import token_urlsafe
from typing import Final

import click

from mailer.cli.output import say
from mailer.compose import composer_of
from mailer.compose.preview import as_page
from mailer.config import Settings, load
from mailer.config.presets import presets
from mailer.errors import InputError
from mailer.produce.design import design, recipient

CONFIG: Final = "mailer.toml"
EXAMPLE: Final = "you@example.org"
"""Who sends, as it is written: to be replaced before anything is sent."""
_KEY: Final = "unsubscribe.key"
_URL: Final = 'url = "smtp+starttls://you%40example.org@smtp.example.org:587"'
_PASSWORD: Final = 'password_env = "SMTP_PASSWORD"'  # noqa: S105 - where it is
_TOKEN: Final = 'token_command = ["print-a-fresh-access-token"]'  # noqa: S105 - where it is


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path())
@click.option("--preset", metavar="P", help="A known provider: ses, gmail, microsoft365, ….")
def init(folder: Path, preset: str | None) -> None:
    """Write a folder to start from: mailer.toml, a template with its preview, a list of two.

    Nothing that is there is overwritten.

    \b
    Example:
      mailer init newsletters --preset ses
    """  # noqa: D301 - click's mark against rewrapping
    contents = dict(_contents(preset))
    there = [name for name in contents if (folder / name).exists()]
    if there:
        raise InputError(f"{folder}: {', '.join(there)} is there already; nothing was written")
    try:
        for name, text in contents.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch(mode=0o600 if name == _KEY else 0o666)
            (folder / name).write_text(text, encoding="utf-8")
        # What is written can be read.
        preview = _preview(load(folder / CONFIG, {}))
        (folder / "preview.html").write_text(preview, encoding="utf-8")
    except OSError as error:
        where = error.filename or folder  # a full disk names no file
        raise InputError(f"cannot write {where}: {error.strerror}") from error
    _say_what_next(folder, [*contents, "preview.html"])


def is_starter(file: Path) -> bool:
    """Whether *file* is a ``mailer.toml`` as `init` writes it, with nobody's server in it."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return any(text == dict(_contents(preset))[CONFIG] for preset in (None, *presets()))


def _contents(preset: str | None) -> Iterator[tuple[str, str]]:
    """Yield the files' names and texts."""
    root = files("mailer.cli") / "starter"
    account, secret = _URL, _PASSWORD
    if preset is not None:
        if preset not in presets():
            raise click.BadParameter(
                f"there is no preset {preset!r}; known are {', '.join(sorted(presets()))}",
                param_hint="--preset",
            )
        account = f'preset = "{preset}"\nusername = "you@example.org"'
        if presets()[preset].get("mechanism") in ("XOAUTH2", "OAUTHBEARER"):
            secret = _TOKEN
    for name, text in _read(root, ""):
        yield name, text.replace("@ACCOUNT@", account).replace("@SECRET@", secret)
    yield _KEY, f"{token_urlsafe(32)}\n"


def _read(place: Traversable, before: str) -> Iterator[tuple[str, str]]:
    for one in sorted(place.iterdir(), key=lambda item: item.name):
        if one.is_dir():
            yield from _read(one, f"{before}{one.name}/")
        else:
            yield before + one.name, one.read_text(encoding="utf-8")


def _preview(settings: Settings) -> str:
    made = design(settings, "preview", "newsletter", None, "primary")
    return as_page(composer_of(made), recipient({"email": "ada@example.org", "name": "Ada"}))


def _say_what_next(folder: Path, names: list[str]) -> None:
    for name in names:
        say(f"written: {folder / name}")
    say(
        "\nNext: say in mailer.toml who you are, which server sends (the first run asks), and where "
        "people get off the list. Then type:\n"
    )
    if folder != Path():
        say(f"    cd {shlex.quote(str(folder))}")
    say("    mailer accounts check")
    say("    mailer preview newsletter people.csv --open")
    say("    mailer run first --template newsletter people.csv")
