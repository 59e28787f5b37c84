"""How many messages a second the history takes, and how soon one of many is found by address.

    python benchmarks/history.py [--messages 200000] [--json]

A message is two events: that it was queued, with its row, and what became of it, with the server's
reply. They come in chunks of 5,000 as a consumer reads them. PostgreSQL is Debian's, started here with
its defaults (as user postgres where this is run as root); SQLite is a file. Each is measured into empty
tables.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from mailer.history import open_history
from mailer.mail.event import Event
from tests.servers.postgres import Postgres

CHUNK = 5_000


def chunks(messages):
    """The stream: a chunk of queued ones, and then what became of them."""
    for first in range(0, messages, CHUNK):
        now = time.time()
        batch = [
            Event(
                "bench", n, "queued", now, n // 500, account="primary",
                mailbox=f"person{n}@mail{n % 50}.example", message_id=f"<{n:016x}.b@shop.example>",
                row=json.dumps({"email": f"person{n}@mail{n % 50}.example", "name": "Ada"}),
                order=2 * first,
            )
            for n in range(first, min(first + CHUNK, messages))
        ]  # fmt: skip
        yield batch
        yield [
            one._replace(outcome="accepted", row="", fence=1, attempt=1, stage="final", code=250,
                reply=f"250 2.0.0 Ok: queued as {one.position:010X}", order=2 * first + 1,
            )
            for one in batch
        ]  # fmt: skip


def measured(url, messages):
    history = open_history(url)
    history.upgrade()
    made = list(chunks(messages))
    begins, cpu = time.perf_counter(), time.process_time()
    for chunk in made:
        history.write(chunk)
    took, cpu = time.perf_counter() - begins, time.process_time() - cpu
    # Right after the writing: no statistics, a checkpoint under way.
    looks = []
    for n in range(0, messages, max(messages // 1_000, 1)):
        begins = time.perf_counter()
        assert history.trace(f"person{n}@mail{n % 50}.example")
        looks.append(time.perf_counter() - begins)
    years = looked_up_of_years(history)
    history.close()
    return {
        "messages_a_second": round(messages / took),
        "cpu_us_a_message": round(cpu / messages * 1e6, 1),
        "trace_ms_median": round(statistics.median(looks) * 1e3, 2),
        "trace_ms_max": round(max(looks) * 1e3, 2),
        "trace_of_300_ms_median": round(statistics.median(years) * 1e3, 1),
    }


def looked_up_of_years(history):
    """How long it takes to find a person who got 300 campaigns in 20 months."""
    events = []
    for number in range(300):
        at = 1_700_000_000 + number * 2 * 86_400
        one = Event(f"c{number}", 0, "queued", at, 1, mailbox="ada@mail.example", row="{}", order=1)
        events += [one, one._replace(outcome="accepted", row="", fence=1, at=at + 1, order=2)]
    history.write(events)
    looks = []
    for _ in range(20):
        begins = time.perf_counter()
        assert len(history.trace("ada@mail.example")) == 300
        looks.append(time.perf_counter() - begins)
    return looks


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mailer-bench-"))
    folder.chmod(0o755)
    results = {"sqlite": measured(f"sqlite:///{folder}/history.sqlite", given.messages)}
    (folder / "pg").mkdir()
    server = Postgres(folder / "pg")
    try:
        results["postgresql"] = measured(server.url, given.messages)
    finally:
        server.stop()
        shutil.rmtree(folder)
    if given.json:
        print(json.dumps(results))
        return
    for name, result in results.items():
        print(f"{name:<12}" + "  ".join(f"{key} {value}" for key, value in result.items()))


if __name__ == "__main__":
    main()
