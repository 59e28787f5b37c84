"""How a message looks: one HTML page with it in desktop and phone width, side by side."""

import base64
import re
from email.message import EmailMessage, Message
from html import escape

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{subject}</title>
<style>
body {{ font: 14px/1.5 system-ui, sans-serif; margin: 1.5rem; background: #eceff3; color: #222 }}
table {{ border-spacing: 0 }} th {{ text-align: left; padding-right: 1rem; vertical-align: top }}
main {{ display: flex; gap: 1.5rem; align-items: flex-start; flex-wrap: wrap }}
iframe {{ background: #fff; border: 1px solid #bcc; height: 80vh }}
.desktop {{ width: 720px }} .phone {{ width: 375px; border-radius: 1.2rem }}
pre {{ background: #fff; padding: 1rem; white-space: pre-wrap; max-width: 1120px }}
</style>
<table>{headers}</table>
<main>{frames}</main>
<h2>Text</h2><pre>{text}</pre>
<h2>Attachments</h2><p>{attachments}</p>
</html>
"""
_FRAME = '<iframe class="{name}" title="{name}" sandbox="" srcdoc="{html}"></iframe>'
_SHOWN = ("From", "To", "Reply-To", "Subject", "Date", "Message-ID", "List-Unsubscribe")


def page(message: EmailMessage) -> str:
    """The page. Scripts in the message do not run: the frames are sandboxed."""
    html = message.get_body(("html",))
    text = message.get_body(("plain",))
    shown = escape(_inlined(message, html.get_content())) if html else ""
    return _PAGE.format(
        subject=escape(str(message["Subject"] or "")),
        headers="".join(
            f"<tr><th>{name}<td>{escape(str(message[name]))}" for name in _SHOWN if message[name]
        ),
        frames="".join(_FRAME.format(name=name, html=shown) for name in ("desktop", "phone")),
        text=escape(text.get_content()) if text else "(none)",
        attachments=escape(
            ", ".join(part.get_filename() or "?" for part in message.iter_attachments()) or "none"
        ),
    )


def _inlined(message: EmailMessage, html: str) -> str:
    """*html* with its ``cid:`` images as data, so that the page stands alone."""
    images = {
        str(part["Content-ID"]).strip("<> "): _data(part)
        for part in message.walk()
        if part["Content-ID"]
    }
    return re.sub(r"cid:([^\"'\s)>]+)", lambda found: images.get(found[1], found[0]), html)


def _data(part: Message) -> str:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return f"data:{part.get_content_type()};base64,{base64.b64encode(payload).decode()}"
