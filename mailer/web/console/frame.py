"""The frame of every page: templates, paths, what a visitor may press, a note of what was done."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from time import monotonic
from typing import Any, Final
from urllib.parse import quote, urlencode

from itsdangerous import BadSignature, URLSafeTimedSerializer
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from mailer.config import Settings
from mailer.errors import MailerError
from mailer.mail.counts import count, plural
from mailer.mail.event import CAME_BACK
from mailer.mail.foreign import one_line, shown
from mailer.operate import audit
from mailer.web.console import words
from mailer.web.static import VERSION

PREFIX: Final = "/console"

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    # A form's Origin must come along; elsewhere nothing of the address goes.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

SECTIONS: Final = (
    ("campaigns", "Campaigns"),
    ("messages", "Messages"),
    ("dead", "Dead letters"),
    ("accounts", "Accounts"),
    ("suppression", "Suppression"),
    ("templates", "Templates"),
    ("audit", "Audit log"),
)

_NOTE_LASTS: Final = 60
_FORM_LASTS: Final = 12 * 3600
_KEY_LASTS: Final = 60.0


def page(
    request: Request, template: str, status: int = 200, *, section: str = "", **values: object
) -> Response:
    """The page that *template* makes of *values*; *section* is the entry of the menu that it is in."""
    text = (
        _environment()
        .get_template(template)
        .render(**values, frame=Frame(request), section=section, sections=SECTIONS)
    )
    return HTMLResponse(text, status, HEADERS)


def fragment(request: Request, template: str, **values: object) -> str:
    """A piece of a page, for whoever puts it in."""
    return _environment().get_template(template).render(**values, frame=Frame(request))


def refusal(
    request: Request,
    status: int,
    title: str,
    said: str,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A page that says why there is none."""
    answer = page(request, "refusal.html", status, title=title, said=said)
    answer.headers.update(headers or {})
    return answer


def redirect(request: Request, to: str, note: str, *, ok: bool = True) -> Response:
    """Send the browser to the page *to*, which shows *note*."""
    signed = _signer(request, "note").dumps([ok, one_line(note, 600)])
    joint = "&" if "?" in to else "?"
    path = f"{Frame(request).path(to)}{joint}{urlencode({'note': signed})}"
    return RedirectResponse(path, 303, HEADERS)


def settings_of(request: Request) -> Settings:
    """The configuration that is served."""
    settings: Settings = request.app.state.settings
    return settings


def number_in(request: Request, name: str) -> int:
    """The whole number in the query under *name*; 0 where there is none."""
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else 0


def text_in(request: Request, name: str, longest: int = 300) -> str:
    """What stands in the query under *name*, cut and trimmed."""
    return request.query_params.get(name, "")[:longest].strip()


class Frame:
    """What every template may ask about the request that it answers."""

    def __init__(self, request: Request) -> None:
        self._request = request

    @property
    def visitor(self) -> Any:
        """Who looks; None where nobody is known."""
        return self._request.scope.get("state", {}).get("visitor")

    @property
    def may_act(self) -> bool:
        """Whether buttons are shown."""
        return bool(self.visitor and self.visitor.may_act)

    def path(self, to: str, **query: object) -> str:
        """The path of the console's page *to*, wherever the application is mounted."""
        given = {name: value for name, value in query.items() if value not in ("", None)}
        return f"{self._root}{PREFIX}{to}" + (f"?{urlencode(given)}" if given else "")

    def static(self, name: str) -> str:
        """The path of a style sheet, script or picture of ours."""
        return f"{self._root}/static/{VERSION}/{name}"

    @property
    def token(self) -> str:
        """What a form must bring back: a proof that its page was made for this visitor."""
        return str(_signer(self._request, "form").dumps(self.visitor.name))

    @property
    def note(self) -> tuple[bool, str] | None:
        """What was just done, and whether it could be."""
        signed = self._request.query_params.get("note", "")
        if not signed or self.visitor is None:
            return None
        try:
            ok, said = _signer(self._request, "note").loads(signed, _NOTE_LASTS)
        except (BadSignature, MailerError):
            return None
        return ok, said

    @property
    def _root(self) -> str:
        return str(self._request.scope.get("root_path", "")).removesuffix(PREFIX)


def is_own_form(request: Request, token: str) -> bool:
    """Whether *token* was made for this visitor within the last hours."""
    signer = _signer(request, "form")
    try:
        name = signer.loads(token, _FORM_LASTS)
    except BadSignature:
        return False
    return bool(name == request.state.visitor.name)


def _signer(request: Request, purpose: str) -> URLSafeTimedSerializer:
    """What signs for *purpose*, with the key that all processes have from Redis."""
    state = request.app.state
    key, asked_at = getattr(state, "form_key", (b"", -_KEY_LASTS))
    if (
        monotonic() > asked_at + _KEY_LASTS
    ):  # also where Redis was emptied: then there is another one
        key = audit.key_of_forms(settings_of(request))
        state.form_key = key, monotonic()
    return URLSafeTimedSerializer(key, salt=f"mailer.web.{purpose}")


def compile_templates() -> None:
    """Compile all templates, so that nobody's first page waits for it: a tenth of a second in all."""
    for name in _environment().list_templates():
        _environment().get_template(name)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(str(files("mailer.web") / "templates" / "console")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "count": count,
        "short": words.short,
        "span": words.span,
        "rate": words.rate,
        "moment": words.moment,
        "day": words.day,
        "machine": words.machine,
        "clock": words.clock,
        "ago": words.ago,
        "shown": shown,
        "line": one_line,
        "segment": lambda text: quote(str(text), safe=""),
        "says": words.says,
        "took": words.took,
    }
    made.globals |= {"share": words.share, "plural": plural, "back_word": CAME_BACK.get}
    return made
