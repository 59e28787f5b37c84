"""What does composing a message cost, and what does it cost with other libraries?

    python benchmarks/compose.py                   five rounds, about a minute
    python benchmarks/compose.py --rounds 1 --messages 100

The message is the example newsletter: 15 KB on the wire, HTML and text, not ASCII, 25 personalised links.
Every case makes the finished bytes of one message per recipient, headers and all, from the row on. Cases
are interleaved; what is printed is CPU time, as the median over rounds. Libraries that are not
installed are left out: ``pip install redmail django``, ``npm install nodemailer`` and NODE_PATH.

nodemailer is given text that is rendered already: it composes only.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from email import policy
from email.message import EmailMessage
from pathlib import Path

import jinja2

from mailer.compose import Attachment, Composer, Design, Unsubscribe
from mailer.compose.template.formats import filters, locale_of
from mailer.mail.recipients import Recipient, parse

ROOT = Path(__file__).parents[1]
DESIGN = Design(
    campaign="spring-2026",
    template="newsletter",
    templates_path=ROOT / "templates",
    sender="Käthe Lindenhof <news@shop.example>",
    context={"season": "spring"},
    unsubscribe=Unsubscribe("https://shop.example/u/{token}"),
    secret="not a secret",
    list_id="Lindenhof news <news.shop.example>",
    feedback_id="spring:news:shop",
)
PDF = bytes(range(256)) * 400
FIRST = ("Ada", "Jörg", "Zoë", "Bob", "Søren", "Łucja", "Mia", "Øystein", "Li", "Fatma")
LAST = ("Lovelace", "Müller", "Nguyễn", "Smith", "Kowalska", "Öztürk", "O'Brien", "Silva")
CITIES = ("Berlin", "Łódź", "", "Aarhus", "Lisbon", "Zürich")

Compose = Callable[[Recipient], object]

NODE = """
const { performance } = require('perf_hooks');
const MailComposer = require('nodemailer/lib/mail-composer');
const [mail, count] = JSON.parse(require('fs').readFileSync(0));
const once = (ok, no) => new MailComposer(mail).compile().build((e, m) => e ? no(e) : ok(m));
const build = () => new Promise(once);
(async () => {
  for (let i = 0; i < 50; i++) await build();
  const before = process.cpuUsage();
  for (let i = 0; i < count; i++) await build();
  const used = process.cpuUsage(before);
  console.log((used.user + used.system) / count);
})();
"""


def rows(count: int) -> list[Recipient]:
    found = []
    for n in range(count):
        name = f"{FIRST[n % 10]} {LAST[n // 10 % 8]}"
        row = {"email": f"user{n}@example{n % 90}.org", "name": name, "city": CITIES[n % 6]}
        found.append(parse({**row, "points": str(n * 7 % 900)}, n + 1))
    return found


def ours(**changes: object) -> Compose:
    return Composer(replace(DESIGN, **changes)).compose


def fallback() -> Compose:
    """Our composer for a template that cannot be recorded: Jinja renders every message."""
    composer = Composer(DESIGN)
    for plan in composer._plans.values():  # noqa: SLF001 - there is no other way to forbid it
        plan.renderer.play = lambda _: None
    return composer.compose


def email_message() -> Compose:
    composer = Composer(DESIGN)
    return lambda row: composer.email(row).as_bytes()


class Rendered:
    """The newsletter rendered by plain Jinja, and the headers, for libraries that only compose."""

    def __init__(self) -> None:
        self.composer = Composer(DESIGN)
        folder = ROOT / "templates"
        loader = jinja2.FileSystemLoader([folder / "newsletter", folder])
        self.jinja = jinja2.Environment(
            loader=loader,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
            autoescape=lambda name: name.endswith(".html"),
        )
        self.jinja.filters.update(filters(locale_of("en")))
        self.jinja.globals["locale"] = "en"
        names = ("subject.txt", "body.txt", "body.html")
        self.templates = [self.jinja.get_template(name) for name in names]

    def parts(self, row: Recipient) -> tuple[str, str, str, list[tuple[str, str]]]:
        headers = self.composer.headers
        url = headers.unsubscribe_url(row)
        known = {"campaign": DESIGN.campaign, "season": "spring", "unsubscribe_url": url}
        known |= {"recipient_id": row.key.hex(), **row.fields}
        subject, text, html = (template.render(known) for template in self.templates)
        fields = [
            ("Message-ID", headers.message_id(row)),
            ("Date", "Sun, 01 Mar 2026 09:30:00 +0000"),
            ("List-Unsubscribe", f"<{url}>"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            ("List-ID", str(DESIGN.list_id)),
            ("Feedback-ID", str(DESIGN.feedback_id)),
            ("Precedence", "bulk"),
        ]
        return subject.strip(), text, html, fields


def jinja_alone() -> Compose:
    return Rendered().parts


def stdlib(attachment: bytes | None = None) -> Compose:
    rendered = Rendered()

    def compose(row: Recipient) -> bytes:
        subject, text, html, fields = rendered.parts(row)
        message = EmailMessage(policy=policy.SMTP)
        message["From"] = DESIGN.sender
        message["To"] = f'"{row.name}" <{row.mailbox}>'
        message["Subject"] = subject
        for name, value in fields:
            message[name] = value
        message.set_content(text, cte="quoted-printable")
        message.add_alternative(html, subtype="html", cte="quoted-printable")
        if attachment:
            message.add_attachment(
                attachment, maintype="application", subtype="pdf", filename="terms.pdf"
            )
        return message.as_bytes()

    return compose


def redmail() -> Compose:
    from redmail import EmailSender  # noqa: PLC0415 - optional

    rendered = Rendered()
    sender = EmailSender(host="localhost", port=0)

    def compose(row: Recipient) -> bytes:
        subject, text, html, fields = rendered.parts(row)
        message = sender.get_message(
            subject=subject,
            sender=DESIGN.sender,
            receivers=[f'"{row.name}" <{row.mailbox}>'],
            text=text,
            html=html,
            use_jinja=False,
            headers=dict(fields),
        )
        return message.as_bytes()

    return compose


def django() -> Compose:
    from django.conf import settings  # noqa: PLC0415 - optional
    from django.core.mail import EmailMultiAlternatives  # noqa: PLC0415 - optional

    if not settings.configured:
        settings.configure(USE_I18N=False)
    rendered = Rendered()

    def compose(row: Recipient) -> bytes:
        subject, text, html, fields = rendered.parts(row)
        to = [f'"{row.name}" <{row.mailbox}>']
        message = EmailMultiAlternatives(subject, text, DESIGN.sender, to, headers=dict(fields))
        message.attach_alternative(html, "text/html")
        return message.message().as_bytes()

    return compose


CASES: dict[str, Callable[[], Compose]] = {
    "mailer": ours,
    "mailer + 100 KB file": lambda: ours(attachments=[Attachment.from_bytes(PDF, "terms.pdf")]),
    "mailer, not recorded": fallback,
    "mailer, EmailMessage": email_message,
    "Jinja alone": jinja_alone,
    "Jinja + EmailMessage": stdlib,
    "Jinja + EmailMessage + 100 KB": lambda: stdlib(PDF),
    "Jinja + red-mail": redmail,
    "Jinja + Django": django,
}


def available() -> Iterator[tuple[str, Compose]]:
    for name, make in CASES.items():
        try:
            yield name, make()
        except ImportError as error:
            print(f"left out: {name} ({error})")


def cpu(compose: Compose, recipients: list[Recipient]) -> float:
    """Return the CPU time of a message in microseconds."""
    began = time.process_time()
    for recipient in recipients:
        compose(recipient)
    return (time.process_time() - began) / len(recipients) * 1e6


def nodemailer(recipient: Recipient, count: int) -> float | None:
    if not shutil.which("node"):
        return None
    subject, text, html, fields = Rendered().parts(recipient)
    to = f'"{recipient.name}" <{recipient.mailbox}>'
    mail = {"from": DESIGN.sender, "to": to, "subject": subject, "text": text, "html": html}
    mail["headers"] = dict(fields[2:])
    done = subprocess.run(
        ["node", "-e", NODE], input=json.dumps([mail, count]), capture_output=True, text=True,
        check=False, env=os.environ,
    )  # fmt: skip
    return float(done.stdout) if done.returncode == 0 else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=400)
    wanted = parser.parse_args()
    recipients = rows(wanted.messages)
    cases = dict(available())
    found: dict[str, list[float]] = {name: [] for name in cases}
    for compose in cases.values():  # ways are recorded, caches filled
        cpu(compose, recipients[:100])
    for _ in range(wanted.rounds):
        for name, compose in cases.items():
            few = (
                recipients if name.startswith("mailer") and "Email" not in name else recipients[:60]
            )
            found[name].append(cpu(compose, few))
        other = nodemailer(recipients[0], 100)
        if other:
            found.setdefault("nodemailer (not rendering)", []).append(other)
    base = statistics.median(found["Jinja + EmailMessage"])
    size = len(Composer(DESIGN).compose(recipients[0]).joined({}))
    print(f"\n{size} octets, {wanted.rounds} rounds of {wanted.messages}\n")
    print(f"{'':32} {'CPU µs':>9} {'spread':>15} {'faster':>8}")
    for name, times in found.items():
        middle = statistics.median(times)
        spread = f"{min(times):.0f}–{max(times):.0f}"
        print(f"{name:32} {middle:9.1f} {spread:>15} {base / middle:7.1f}×")


if __name__ == "__main__":
    main()
