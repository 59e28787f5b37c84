"""How somebody's mail is shown: its fields as text, and its HTML alone in a frame without network.

Nobody trusts a mail's HTML: in its frame no script runs, nothing is fetched, no link and no form leads
anywhere.
"""

import email
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from mailer.compose.preview import html_of, text_of
from mailer.operate.messages import Content

_POLICY: Final = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'; sandbox"
)
_DARK: Final = "@media (prefers-color-scheme: dark)"
_LONGEST_SOURCE: Final = 200_000


@dataclass(frozen=True, slots=True)
class Seen:
    """What a page shows of a mail; *html_path* is where its frame gets the HTML, "" without any."""

    headers: tuple[tuple[str, str], ...]
    text: str
    source: str
    html_path: str
    dark: bool = False


def seen(octets: bytes, html_path: str, *, dark: bool = False) -> Seen:
    """Read a mail for a page."""
    mail = parsed(octets)
    source = octets[:_LONGEST_SOURCE].decode("utf-8", "replace").replace("\r\n", "\n")
    return Seen(
        tuple((name, _field(mail, name)) for name in dict.fromkeys(mail.keys())),
        text_of(mail),
        source,
        html_path if html_of(mail) else "",
        dark,
    )


def seen_content(content: Content | None, html_path: str) -> Seen | None:
    """Read a message that still lies in Redis; None where it does not."""
    return None if content is None else seen(content.octets, html_path)


def mail_frame(request: Request, octets: bytes) -> Response:
    """The HTML of a mail for a sandboxed frame; with ``dark=1``, as it looks in the dark."""
    document = html_of(parsed(octets))
    if request.query_params.get("dark"):
        # The mail's own rules for the dark hold, whatever the visitor likes.
        for written in (_DARK, _DARK.replace(": ", ":")):
            document = document.replace(written, "@media all")
        if (
            "color-scheme" in document
        ):  # it says that it knows the dark; others are left as they are
            document += "<style>:root { color-scheme: dark }</style>"
    headers = {
        "Content-Security-Policy": _POLICY,
        "X-Frame-Options": "SAMEORIGIN",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    return Response(document, media_type="text/html", headers=headers)


def parsed(octets: bytes) -> EmailMessage:
    """The mail as Python's parser reads it, whatever is in it."""
    found = email.message_from_bytes(octets, policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


def _field(mail: EmailMessage, name: str) -> str:
    try:
        return "\n".join(str(value) for value in mail.get_all(name, []))
    except Exception as exc:  # noqa: BLE001 - the stdlib's parser raises what it likes at odd fields
        return f"(cannot be read: {type(exc).__name__})"
