"""A cluster with everything that a console shows: campaigns of every kind of end, and one under way."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mailer import Campaign
from mailer.config import Settings, load
from mailer.operate import campaigns
from mailer.operate.barring import suppression
from tests.servers.cluster import Cluster
from tests.servers.conversation import Connection, mailbox_in
from tests.servers.scripted import ScriptedServer
from tests.servers.waiting import eventually

REPOSITORY = Path(__file__).parents[3]
DOMAINS = ("gmail.example", "outlook.example", "yahoo.example", "gmx.example", "proton.example")
REFUSED = {
    3: "550 5.1.1 The email account that you tried to reach does not exist",
    7: "550 5.7.1 Message rejected: see https://support.example/block?id=QX81ZB77-1f",
    11: "552 5.2.2 mailbox is full: user over quota",
    13: "451 4.7.1 Greylisted, please try again in 300 seconds",
    17: "550 5.4.1 Recipient address rejected: Access denied. [AM5EUR02FT012]",
}
TEMPLATE = {
    "subject.txt": "{{ name }}, spring is here",
    "body.html": (
        "<html lang='en'><head><meta name='color-scheme' content='light dark'>"
        "<title>Spring</title><style>"
        "@media (prefers-color-scheme: dark) { .page { background: #16201b !important } "
        ".card { background: #1f2d26 !important; color: #e6efe9 !important } }</style></head>"
        "<body class='page' style='margin:0;background:#f2f4ee;font-family:Georgia,serif'>"
        "<div class='card' style='max-width:560px;margin:0 auto;background:#fff'>"
        "<div style='background:#2f6b4f;color:#fff;padding:32px'><h1 style='margin:0'>Spring at "
        "Ferngrove</h1></div><div style='padding:32px;line-height:1.6'><p>Dear {{ name }},</p>"
        "<p>the first seedlings are out: rosemary, thyme and nine kinds of tomato.</p>"
        "<p><a style='background:#2f6b4f;color:#fff;padding:12px 20px' "
        "href='https://ferngrove.example/spring'>See what is new</a></p></div></div></body></html>"
    ),
}


@dataclass
class World:
    """What there is: the *cluster*, its mail server, the settings to serve it with."""

    cluster: Cluster
    smtp: ScriptedServer
    settings: Settings


def row(campaign: str, number: int) -> dict[str, str]:
    domain = DOMAINS[number % len(DOMAINS)]
    return {"email": f"{campaign}.{number}@{domain}", "name": f"Reader {number}"}


def reply(_connection: Connection, line: str) -> str | None:
    """What RCPT is answered: a few in a hundred are refused, each number for a reason of its own."""
    number = mailbox_in(line).partition("@")[0].rpartition(".")[2]
    if not number.isdecimal():  # a test message, to whoever looks at it
        return None
    return next((REFUSED[key] for key in REFUSED if int(number) % 100 == key), None)


def _queue(settings: Settings, name: str, account: str, number: int) -> None:
    made = Campaign(
        name,
        template="newsletter",
        sender="Ferngrove <news@ferngrove.example>",
        account=account,
        settings=settings,
    )
    made.enqueue((row(name, n) for n in range(number)), check=False)


@contextmanager
def world(
    folder: Path, redis_url: str, recipients: int = 100_000, rate: str = "900000/day"
) -> Iterator[World]:
    """Campaigns that are finished, cancelled, dead, and one of so many *recipients* under way.

    It goes at *rate*, and is seen when half of it is done.
    """
    with ScriptedServer({"primary": "right", "billing": "changed"}) as smtp:
        smtp.answer("RCPT", reply)
        cluster = Cluster(folder, redis_url, smtp.port, primary="right", billing="right")
        try:
            _write(folder, cluster, rate)
            settings = load(folder / "mailer.toml", {})
            cluster.start("worker")
            _queue(settings, "welcome-march", "primary", 1200)
            _queue(settings, "invoices-q1", "billing", 800)
            eventually(lambda: cluster.state("billing") == "stopped")
            eventually(lambda: cluster.outcomes("invoices-q1").get("dead") == 800)
            eventually(lambda: not cluster.outcomes("welcome-march").get("queued", 0))
            _queue(settings, "autumn-draft", "primary", 3000)
            campaigns.cancel(settings, "autumn-draft")
            _queue(settings, "spring-2026", "primary", recipients)
            eventually(
                lambda: cluster.outcomes("spring-2026").get("accepted", 0) > recipients // 2, 600
            )
            people = (f"left.{n}@gmail.example" for n in range(300))
            suppression.add(people, reason="unsubscribe", settings=settings)
            yield World(cluster, smtp, settings)
        finally:
            cluster.close()


def _write(folder: Path, cluster: Cluster, rate: str) -> None:
    template = folder / "templates/newsletter"
    template.mkdir(parents=True, exist_ok=True)
    for name, text in TEMPLATE.items():
        (template / name).write_text(text)
    (template / "preview.json").write_text(json.dumps({"name": "Ada"}))
    text = (folder / "mailer.toml").read_text()
    text += f'\n[history]\nurl = "sqlite:///{folder}/history.db"\n'
    head = f'sender = "Ferngrove <news@ferngrove.example>"\ntemplates = "templates"\n{text}'
    limits = head.replace("[accounts.primary]", f'[accounts.primary]\nrate = ["{rate}"]')
    cluster.configure(limits)
