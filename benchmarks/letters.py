"""What is sent: kinds of mail, two ways of sending one of them, recipients, and mail by `EmailMessage`.

====================  =====================================================================
newsletter            about 15 KB: text and HTML, not ASCII, 23 links with the reader's token
text                  about 1 KB of plain text
attachment            the newsletter with 100 KB that are the same for all
submission            the newsletter over STARTTLS, verified, after a login, to a real Postfix
signed                the newsletter with DKIM signatures by RSA of 2048 bits and Ed25519
====================  =====================================================================

The templates use nothing but ``{{ variable }}``, so that Jinja, Django and Handlebars read the same file.
"""

import random
from collections.abc import Iterator
from email.message import EmailMessage
from email.utils import make_msgid
from functools import cache
from pathlib import Path

PLAIN = ("newsletter", "text", "attachment")
SUBMISSION, SIGNED = "submission", "signed"
KINDS = (*PLAIN, SUBMISSION, SIGNED)
TEMPLATES = Path(__file__).parent / "templates"
SENDER = "The Shop <news@shop.example>"
SUBJECT = "subject.txt"
ATTACHMENT = "catalogue.pdf"

_NAMES = ("Ada", "Bjørn", "Chloé", "Dmitri", "Edith", "Faruk", "Grace", "Håkon", "Inès", "Jürgen")
_CITIES = ("Łódź", "Lyon", "Lübeck", "Leeds", "Linköping", "Lisboa", "Luzern")


def template_of(kind: str) -> str:
    return "text" if kind == "text" else "newsletter"


def read(kind: str, section: str) -> str | None:
    """The source of a *section* (``subject.txt``, ``body.txt``, ``body.html``) or None."""
    path = TEMPLATES / template_of(kind) / section
    return path.read_text("utf-8") if path.is_file() else None


@cache
def catalogue() -> bytes:
    """100 KB that do not compress, as a PDF's do not."""
    return b"%PDF-1.7\n" + random.Random(1).randbytes(100_000)


def rows(count: int, run: str = "") -> Iterator[dict[str, str]]:
    """*count* recipients, the same at each call with the same *run*."""
    some = random.Random(run or "rows")
    for number in range(count):
        yield {
            "email": f"reader{number}{run}@example.org",
            "name": some.choice(_NAMES),
            "city": some.choice(_CITIES),
            "number": str(10_000_000 + number),
            "points": str(some.randrange(500)),
            "token": f"{some.getrandbits(64):016x}",
        }


class PlainComposer:
    """What anybody would write: Jinja and `EmailMessage`, each template compiled once."""

    def __init__(self, kind: str) -> None:
        from jinja2 import Environment  # noqa: PLC0415 - the mailer's own process needs none

        environment = Environment(autoescape=True, keep_trailing_newline=True)
        self._sections = {
            section: environment.from_string(source)
            for section in (SUBJECT, "body.txt", "body.html")
            if (source := read(kind, section))
        }
        self._attachment = catalogue() if kind == "attachment" else None

    def compose(self, row: dict[str, str]) -> EmailMessage:
        parts = {name: template.render(row) for name, template in self._sections.items()}
        message = EmailMessage()
        message["From"] = SENDER
        message["To"] = row["email"]
        message["Subject"] = parts[SUBJECT].strip()
        message["Message-ID"] = make_msgid(domain="shop.example")
        message.set_content(parts["body.txt"])
        if "body.html" in parts:
            message.add_alternative(parts["body.html"], subtype="html")
        if self._attachment:
            message.add_attachment(
                self._attachment, maintype="application", subtype="pdf", filename=ATTACHMENT
            )
        return message


def dkim_keys(folder: Path) -> tuple[tuple[str, Path], ...]:
    """Two selectors with a private key each, written into *folder*: RSA of 2048 bits and Ed25519."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - few need one
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa  # noqa: PLC0415

    keys = {"r": rsa.generate_private_key(65537, 2048), "e": ed25519.Ed25519PrivateKey.generate()}
    found = []
    for selector, key in keys.items():
        file = folder / f"{selector}.pem"
        file.touch(0o600)
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        found.append((selector, file))
    return tuple(found)


def sample(kind: str) -> bytes:
    """One mail with bare line feeds, as `smtp-source -F` reads it."""
    return PlainComposer(kind).compose(next(rows(1))).as_bytes()
