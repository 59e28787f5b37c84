"""How the pages for recipients look: one template, in the reader's language, or one of one's own."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

_NAME: Final = "unsubscribe.html"
_LONGEST: Final = 200

STYLE: Final = (files("mailer.web") / "style.css").read_text("utf-8")


@dataclass(frozen=True, slots=True)
class Page:
    """What is shown: *state* is ask, off, off_all, back, unknown or later.

    *language* is a key of words.toml. *list_name* is empty where the mail was of no list.
    """

    state: str
    language: str
    sender: str = ""
    mailbox: str = ""
    list_name: str = ""


def language(accepted: str) -> str:
    """The reader's language out of Accept-Language (RFC 9110 section 12.5.4); English where unknown."""
    wishes = []
    for place, part in enumerate(accepted[:_LONGEST].split(",")):
        tag, _, weight = part.strip().partition(";q=")
        try:
            wishes.append((-float(weight or 1), place, tag.partition("-")[0].lower()))
        except ValueError:
            continue
    return next((tag for _, _, tag in sorted(wishes) if tag in words()), "en")


def rendered(page: Page, own: Path | None = None) -> str:
    """The page as HTML. *own* is a folder with an ``unsubscribe.html`` that is used instead of ours."""
    template = _environment(own).get_template(_NAME)
    return template.render(page=page, words=words()[page.language])


@cache
def words() -> dict[str, dict[str, str]]:
    """What the page says, by language."""
    return tomllib.loads((files("mailer.web") / "words.toml").read_text("utf-8"))


@cache
def _environment(own: Path | None) -> Environment:
    folders = [str(own)] if own else []
    with_ours = [*folders, str(files("mailer.web") / "templates")]
    return Environment(
        loader=FileSystemLoader(with_ours),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
    )
