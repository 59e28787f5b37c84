"""A `World` for hours: a shop that sends single messages, a history, a ledger that forgets."""

import signal
import sys

from tests.chaos.world import World, wait_until

FORGETS = """
[retention]
ledger = "{minutes}m"
replies = "{minutes}m"

[send]
remember_keys = "{minutes}m"
"""

CAMPAIGN = """
import sys
from mailer import Campaign

name, count, on_uncertain = sys.argv[1], int(sys.argv[2]), sys.argv[3]
campaign = Campaign(name, template="hello", on_uncertain=on_uncertain)
rows = ({"email": f"r{number}.{name}@example.org"} for number in range(count))
print(campaign.enqueue(rows, check=False).queued)
"""

SHOP = """
import sys
import time
from pathlib import Path

import mailer

me, pause = sys.argv[1], float(sys.argv[2])
record = Path(f"{me}.sent")
done = record.read_text().count(chr(10)) if record.exists() else 0
with record.open("a") as sent:
    while not Path("closed").exists():
        try:
            name = mailer.send(
                "hello", to=f"{me}{done}@example.org", key=f"{me}-{done}", on_uncertain="hold"
            )
        except mailer.MailerError as exc:
            print(me, done, exc, flush=True)
        else:
            sent.write(name + chr(10))
            sent.flush()
            done += 1
        time.sleep(pause)
"""

SLOW = 0.25
"""Seconds that the mail server takes for a message: something is always under way."""

GONE = "550 5.1.1 no such user"
LATER = "451 4.7.1 greylisted, try again later"


class SoakWorld(World):
    """Everything at a modest rate, for as long as one likes."""

    def __init__(self, folder, minutes_kept, **settings):
        self.extra = FORGETS.format(minutes=minutes_kept)
        super().__init__(folder, **settings)

    def __enter__(self):
        (self.folder / "tmp").mkdir(parents=True)
        super().__enter__()
        (self.folder / "produce.py").write_text(CAMPAIGN)
        (self.folder / "shop.py").write_text(SHOP)
        return self

    def environment(self):
        return super().environment() | {"TMPDIR": str(self.folder / "tmp")}

    def start_smtp(self):
        super().start_smtp()
        self.wish({"delay": SLOW})
        self.wish({"answer": ["RCPT", "<r2.", GONE, 1 << 30]})

    def mend(self):
        """A fault did not come to its end: whatever it broke is whole again."""
        if self.redis.poll() is not None:
            self.start_redis()
        self.redis.send_signal(signal.SIGCONT)
        if self.smtp.poll() is not None:
            self.start_smtp()
        wait_until(self.client.ping, what="Redis")
        self.client.replicaof("NO", "ONE")
        for name, value in {"maxmemory": 0, "min-replicas-to-write": 0, "save": ""}.items():
            self.client.config_set(name, value)

    def start_shop(self, name, pause):
        return self._start(sys.executable, "shop.py", name, pause, log="shop.log")

    def close_shops(self):
        (self.folder / "closed").touch()
