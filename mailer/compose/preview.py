"""How a message looks before it is sent: as a file for a mail reader, or as a page for a browser.

The page shows the HTML at the width of a desktop and of a phone, side by side, with the headers and the
text part. The HTML stands in sandboxed frames under a content security policy: its scripts do not run,
its links open nothing, and it loads images by https and nothing else. Inline images are put in.
"""

import base64
import html
import re
from email.message import EmailMessage
from typing import Final

from mailer.compose.composer import Composer
from mailer.compose.lint import Finding, lint
from mailer.mail.recipients import Recipient

_POLICY: Final = (
    "default-src 'none'; img-src data: https:; style-src 'unsafe-inline'; font-src data:"
)
_SHOWN: Final = ("From", "To", "Reply-To", "Subject", "Date", "Message-ID", "List-Unsubscribe")
_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>
body {{ margin: 0; font: 14px/20px system-ui, sans-serif; background: #e9e9ec; color: #222; }}
header {{ background: #fff; padding: 12px 20px; border-bottom: 1px solid #ccc; }}
th {{ text-align: left; padding-right: 14px; color: #666; vertical-align: top; }}
td {{ overflow-wrap: anywhere; }}
main {{ display: flex; gap: 20px; padding: 20px; align-items: flex-start; flex-wrap: wrap; }}
figure {{ margin: 0; }}
figcaption {{ color: #666; padding-bottom: 6px; }}
iframe {{ border: 1px solid #bbb; background: #fff; height: 900px; }}
iframe.phone {{ border-radius: 18px; }}
pre {{ background: #fff; padding: 14px; border: 1px solid #bbb; margin: 0; white-space: pre-wrap;
  font: 13px/19px monospace; width: 640px; overflow-wrap: anywhere; }}
.error {{ color: #b00020; }} .warning {{ color: #8a5a00; }} .advice {{ color: #555; }}
</style>
</head>
<body>
<header><table>{headers}</table>{findings}</header>
<main>{frames}
<figure><figcaption>Text</figcaption><pre>{text}</pre></figure>
</main>
</body>
</html>
"""


def as_eml(composer: Composer, recipient: Recipient) -> bytes:
    """Return the message to *recipient* as an ``.eml`` file: the bytes that would leave.

    Raises `TemplateError` when the row does not fit the template.
    """
    return composer.compose(recipient).joined(composer.shared)


def as_page(composer: Composer, recipient: Recipient) -> str:
    """Return an HTML page that shows the message to *recipient* at two widths, and what lint says.

    Raises `TemplateError` when the row does not fit the template.
    """
    message = composer.email(recipient)
    return _PAGE.format(
        policy=html.escape(_POLICY),
        title=html.escape(str(message["Subject"])),
        headers="".join(_row(message, name) for name in _SHOWN if name in message),
        findings="".join(map(_said, lint(composer, recipient))),
        frames=_frames(message),
        text=html.escape(text_of(message)),
    )


def _row(message: EmailMessage, name: str) -> str:
    return f"<tr><th>{name}</th><td>{html.escape(str(message[name]))}</td></tr>"


def _said(finding: Finding) -> str:
    said = html.escape(f"{finding.level}: {finding.message} ({finding.where})")
    return f'<div class="{finding.level}">{said}</div>'


def html_of(message: EmailMessage) -> str:
    """The HTML of *message* with its inline images put in; empty where none can be read."""
    body = _part(message, "html")
    return _with_images(body, message) if body else ""


def text_of(message: EmailMessage) -> str:
    """The text part of *message*; empty where it has none."""
    return _part(message, "plain")


def _part(message: EmailMessage, kind: str) -> str:
    try:
        body = message.get_body((kind,))
        found = str(body.get_content()) if isinstance(body, EmailMessage) else ""
    except Exception:  # noqa: BLE001 - the stdlib's parser raises what it likes at odd messages
        return ""
    return found.replace("\r\n", "\n")


def _frames(message: EmailMessage) -> str:
    found = html_of(message)
    if not found:
        return ""
    document = html.escape(found)
    frame = '<iframe sandbox srcdoc="{}" class="{}" width="{}" title="{}"></iframe>'
    shown = [
        (caption, frame.format(document, kind, width, caption))
        for caption, kind, width in (("Desktop", "desktop", 720), ("Phone", "phone", 375))
    ]
    return "".join(f"<figure><figcaption>{c}</figcaption>{f}</figure>" for c, f in shown)


def _with_images(document: str, message: EmailMessage) -> str:
    """Put the inline images in, as ``data:`` URLs."""
    for part in message.walk():
        content_id = part["Content-ID"]
        if content_id:
            content = part.get_payload(decode=True)
            encoded = base64.b64encode(content if isinstance(content, bytes) else b"").decode()
            url = f"data:{part.get_content_type()};base64,{encoded}"
            name = re.escape(str(content_id).strip("<>"))
            # A data URL holds no backslash, so it is a replacement as it is.
            document = re.sub(f"cid:{name}", url, document)
    return document
