"""What one `send()` costs in a web request, and which sockets it leaves.

    python benchmarks/send.py [--calls 10000] [--rounds 3] [--quick]

Each case runs in a process of its own, in rounds that are interleaved. A call is one text mail of 1 KB
out of a template (`templates/text`) to another recipient. Told are median and 99th percentile of the time
that a call takes, CPU time of the process a call, and its sockets after fifty calls and at the end. After
mailer and django-post_office the mail is queued; after smtplib the server has it.
"""

# ruff: noqa: PLC0415 - a case loads what it wants, and nothing of the others

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import letters
from servers import Redis, Sink

CASES = {
    "mailer, one thread": "one_thread",
    "mailer, 16 threads": "sixteen_threads",
    "mailer, gevent, 16 greenlets": "greenlets",
    "mailer, after a fork": "forked",
    "django-post_office, mail.send": "post_office",
    "smtplib in the request": "smtplib_in_the_request",
}
THREADS = 16
SLOW = ("post_office", "smtplib_in_the_request")
"""These take milliseconds: a tenth of the calls says as much."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="300 calls, one round")
    wanted = parser.parse_args()
    calls, rounds = (300, 1) if wanted.quick else (wanted.calls, wanted.rounds)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CASES}
    with Redis() as redis, Sink() as sink:
        for _ in range(rounds):
            for name, case in CASES.items():
                number = max(calls // 10, 100) if case in SLOW else calls
                found[name].append(measured(case, number, redis.url, sink.port))
                redis.client.flushall()
    show(found)


def measured(case: str, calls: int, redis_url: str, port: int) -> dict[str, float]:
    """Run one case in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        setup = {"host": "127.0.0.1", "port": port, "connections": 2, "redis": redis_url}
        patched = ["-m", "gevent.monkey"] if case == "greenlets" else []
        words = [sys.executable, *patched, __file__, json.dumps(setup), case, str(calls)]
        done = subprocess.run(
            words,
            env=os.environ | {"BENCH_FOLDER": folder, "PYTHONPATH": str(Path(__file__).parent)},
            cwd=folder,
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
    return json.loads(done.stdout.splitlines()[-1])


def show(found: dict[str, list[dict[str, float]]]) -> None:
    print("| | median ms | p99 ms | CPU µs a call | sockets at first | at the end | calls |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, rounds in found.items():
        middle = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        print(
            f"| {name} | {middle['median']:.2f} | {middle['p99']:.2f} | {middle['cpu']:.0f} "
            f"| {max(one['first'] for one in rounds):.0f} | {max(one['end'] for one in rounds):.0f} "
            f"| {middle['calls']:,.0f} |"
        )


# What runs in the child.


def sockets() -> int:
    found = 0
    for file in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            found += str(file.readlink()).startswith("socket:")
    return found


Call = Callable[[int], object]


def timed(call: Call, calls: int, threads: int = 1) -> str:
    """Call as often, by so many threads; as JSON what it took."""
    for number in range(50):
        call(number)
    first, took = sockets(), []
    share = calls // threads
    ready = threading.Barrier(threads) if threads > 1 else None

    def work(begin: int) -> None:
        if ready:
            ready.wait()
        for number in range(begin, begin + share):
            began = time.perf_counter()
            call(number)
            took.append(time.perf_counter() - began)

    cpu = time.process_time()
    if threads == 1:
        work(100)
    else:
        workers = [
            threading.Thread(target=work, args=(100 + one * share,)) for one in range(threads)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    cpu = time.process_time() - cpu
    took.sort()
    return json.dumps(
        {
            "median": 1e3 * took[len(took) // 2],
            "p99": 1e3 * took[len(took) * 99 // 100],
            "cpu": 1e6 * cpu / len(took),
            "first": first,
            "end": sockets(),
            "calls": len(took),
        }
    )


def ours(setup: dict[str, object]) -> Call:
    import mailer

    mailer.configure(
        mailer.Settings(
            redis=setup["redis"],
            templates=letters.TEMPLATES,
            sender=letters.SENDER,
            send={"reload_templates": False},
        )
    )
    rows = list(letters.rows(1000))

    def call(number: int) -> None:
        row = rows[number % len(rows)]
        mailer.send("text", to=f"r{number}@example.org", context=row)

    return call


def one_thread(setup: dict[str, object], calls: int) -> str:
    return timed(ours(setup), calls)


def sixteen_threads(setup: dict[str, object], calls: int) -> str:
    return timed(ours(setup), calls, THREADS)


greenlets = sixteen_threads  # of a process whose threads gevent has replaced


def forked(setup: dict[str, object], calls: int) -> str:
    """As gunicorn does with ``--preload``: the parent has sent, and its child sends."""
    call = ours(setup)
    for number in range(50):
        call(number)
    reading, writing = os.pipe()
    if not os.fork():
        os.write(writing, timed(call, calls).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    os.wait()
    call(0)  # and the parent still can
    return told


def post_office(_setup: dict[str, object], calls: int) -> str:
    os.environ["DJANGO_SETTINGS_MODULE"] = "post_office_site"
    sys.path.insert(0, str(Path(__file__).parent / "contenders"))
    import django

    django.setup()
    from django.core.management import call_command
    from post_office import mail
    from post_office.models import EmailTemplate

    call_command("migrate", verbosity=0)
    template = EmailTemplate.objects.create(
        name="text",
        subject=letters.read("text", letters.SUBJECT).strip(),
        content=letters.read("text", "body.txt"),
    )
    rows = list(letters.rows(1000))

    def call(number: int) -> None:
        row = rows[number % len(rows)]
        mail.send(f"r{number}@example.org", letters.SENDER, template=template, context=row)

    return timed(call, calls)


def smtplib_in_the_request(setup: dict[str, object], calls: int) -> str:
    """As tutorials do it: a template, a connection, a message. On loopback, without TLS or a login."""
    import smtplib
    from email.message import EmailMessage

    from jinja2 import Environment, FileSystemLoader

    templates = Environment(loader=FileSystemLoader(letters.TEMPLATES / "text"))
    rows = list(letters.rows(1000))

    def call(number: int) -> None:
        row = rows[number % len(rows)]
        message = EmailMessage()
        message["From"], message["To"] = letters.SENDER, f"r{number}@example.org"
        message["Subject"] = templates.get_template("subject.txt").render(row).strip()
        message.set_content(templates.get_template("body.txt").render(row))
        with smtplib.SMTP(setup["host"], setup["port"]) as server:
            server.send_message(message)

    return timed(call, calls)


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[2] in CASES.values():
        print(globals()[sys.argv[2]](json.loads(sys.argv[1]), int(sys.argv[3])))
    else:
        main()
