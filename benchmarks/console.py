"""How long the console's pages take, with 100,000 recipients: asked of a running `mailer web`.

    python benchmarks/console.py [--recipients 100000] [--dead 2000] [--times 20]

Campaigns with refusals and dead letters are written into a Redis and a history of their own, as workers
write them. Prints the first, the median and the slowest time of each page, and fails where the median or
the first is over 300 ms: nobody waits for what could have been made ready at the start.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from servers import Redis

from mailer.history import open_history
from mailer.mail.event import Event
from mailer.mail.payload import encode_detail
from mailer.mail.policy import CampaignPolicy
from mailer.mail.said import Said
from mailer.mail.status import Detail, Status
from mailer.store import Store, keys
from mailer.store.connection import connect
from mailer.store.ledger import Burial, Claim, Fresh
from mailer.store.suppression import Suppressed

PORT = 18_026
BOUND = 0.3
BATCH = 500
PAGES = (
    "/campaigns",
    "/campaigns?state=paused",
    "/campaigns/spring",
    "/messages?campaign=spring",
    "/messages?campaign=spring&outcome=rejected",
    "/messages?what=r77@x.example",
    "/messages/spring/77",
    "/dead",
    "/dead?campaign=spring",
    "/dead?reason=poison",
    "/accounts",
    "/suppression",
    "/suppression?address=r77@x.example",
    "/suppression?scope=bulk",
    "/audit",
    "/templates",
    "/templates/of/news",
    "/templates/html/news",
    "/campaigns/spring/live?once=1",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--recipients", type=int, default=100_000)
    parser.add_argument("--dead", type=int, default=2_000)
    parser.add_argument("--times", type=int, default=20)
    wanted = parser.parse_args()
    with Redis() as redis, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mailer.toml"
        file.write_text(
            f'redis = "{redis.url}"\n[history]\nurl = "sqlite:///{folder}/history.db"\n'
            '[accounts.primary]\nurl = "smtp://localhost:1"\nrate = ["14/second", "50000/day"]\n'
        )
        template = Path(folder) / "templates" / "news"
        template.mkdir(parents=True)
        (template / "subject.txt").write_text("{{ name }}, spring is here")
        (template / "body.html").write_text(
            "<html><head><style>p { margin: 0 } .x { color: red }</style></head><body>"
            + "<p class='x'>Dear {{ name }}</p>" * 200
        )
        filled(redis.url, f"sqlite:///{folder}/history.db", wanted.recipients, wanted.dead)
        server = subprocess.Popen(
            [sys.executable, "-m", "mailer", "web", "--open-console", "--port", str(PORT)],
            cwd=folder,
            env=os.environ | {"MAILER_CONFIG": str(file)},
            stdout=subprocess.DEVNULL,
        )
        try:
            sys.exit(measured(wanted.times))
        finally:
            server.terminate()
            server.wait()


def filled(url: str, history_url: str, recipients: int, dead: int) -> None:
    """Fifty campaigns, one of them large, a twentieth of it refused; dead letters in another."""
    client = connect(url)
    store, now = Store(client), time.time()
    for number in range(50):
        campaign(store, f"news-{number}", 10, now)
    campaign(store, "spring", recipients, now)
    for position in range(0, recipients, 20):
        detail = Detail(
            f"r{position}@x.example", "RCPT", 550, "5.1.1", f"no {position:09}", "f", "r"
        )
        client.hset(keys.detail("spring"), str(position), encode_detail(detail))
        client.setrange(keys.status("spring"), position, Status.REJECTED.value)
    for number in range(dead):
        (ref,) = campaign(store, f"dead-{number % 20}", 1, now, first=number)
        claim = store.ledger.claim(ref, "me", now, now + 60)
        assert isinstance(claim, Claim)
        said = Said("AUTH", 535, "5.7.8", "no").encode()
        store.ledger.bury(claim, Burial(ref, Status.DEAD, "auth", said, claim.positions), now)
    people = (
        (number.to_bytes(8, "big"), f"left.{number}@x.example") for number in range(recipients)
    )
    store.suppression.add((key, Suppressed(who, "unsubscribe", now)) for key, who in people)
    history = open_history(history_url)
    history.upgrade()
    for start in range(0, recipients, 10_000):
        history.write([event(number, now) for number in range(start, start + 10_000)])
    history.close()


def campaign(store: Store, name: str, total: int, now: float, first: int = 0) -> list[str]:
    run = store.campaigns.open(
        name,
        digest="d",
        summary={"account": "primary", "template": "news"},
        policy=CampaignPolicy(),
        accept_changes=False,
        now=now,
    ).run
    refs = []
    for start in range(0, total, BATCH):
        ref = store.campaigns.next_batch(name)
        numbers = range(first + start, first + min(start + BATCH, total))
        store.ledger.enqueue(
            ref,
            run=run,
            queue="bulk",
            account="primary",
            payload=b"",
            recipients=[Fresh(number.to_bytes(8, "big"), 7) for number in numbers],
            now=now,
        )
        refs.append(ref)
    store.campaigns.close(name)
    return refs


def event(number: int, now: float) -> Event:
    outcome = "rejected" if number % 20 == 0 else "accepted"
    return Event(
        "spring",
        number,
        outcome,
        now,
        account="primary",
        mailbox=f"r{number}@x.example",
        message_id=f"<{number}@shop.example>",
        reply="250 2.0.0 taken",
        order=number + 1,
    )


def measured(times: int) -> int:
    """Ask for each page so many times; returns how many pages are too slow."""
    slow = 0
    for path in PAGES:
        first, *others = (asked(path) for _ in range(times))
        took = sorted(others)
        median = took[len(took) // 2]
        slow += max(first, median) > BOUND
        print(f"{1000 * first:7.1f} {1000 * median:7.1f} {1000 * took[-1]:7.1f} ms  {path}")
    return slow


def asked(path: str) -> float:
    deadline = time.monotonic() + 30
    while True:
        began = time.perf_counter()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/console{path}") as answer:
                answer.read()
                return time.perf_counter() - began
        except urllib.error.URLError as exc:
            if isinstance(exc, urllib.error.HTTPError) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


if __name__ == "__main__":
    main()
