"""What a newsletter costs at least: the same kernel, Redis, zstd and Celery, with next to nothing else.

    python benchmarks/floor.py [--messages 20000] [--json]

Each part is done in the most frugal way that keeps its meaning, and is measured as CPU microseconds a
newsletter, in rounds with the others; medians are printed:

sink      what `smtp-sink` takes, which receives
wire      one finished mail written over and over: ten connections, one `send` a message, pipelined; the
          replies are read and only their last digit is looked at
note      ten letters set in a string in Redis before each ten messages, on a connection of its own: what
          the process takes, and what Redis takes
payload   a batch of 500 decompressed, unpacked, and each of its messages joined
task      a task of Celery's that does nothing, for each 500 messages

Two cores that do just that, and never wait, give a rate. Its share of smtp-source's rate, in the same
rounds, is the most that any worker on Celery and Redis can reach here.
"""

import argparse
import json
import os
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import letters
import msgpack
from cases import Setting, Source
from processes import cpu_seconds
from servers import HERE, Redis, Sink, wait_until

from mailer.compose import Composer, Design
from mailer.mail.payload import Entry, encode, zstd
from mailer.mail.recipients import Recipient, parse

CONNECTIONS = 10
BATCH = 500
TASKS = 500
ROUNDS = 5
CORES = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    found: dict[str, list[float]] = {}
    with ExitStack() as stack:
        redis, sink = stack.enter_context(Redis()), stack.enter_context(Sink())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        source = stack.enter_context(Source(Setting(redis, sink, sink, 0.0, folder)))
        ask = stack.enter_context(celery(redis))
        for _ in range(ROUNDS):
            parts = {
                "source": lambda: {"source": source.run("newsletter", wanted.messages).rate},
                "wire": lambda: wire(sink, wanted.messages),
                "note": lambda: note(redis, wanted.messages),
                "payload": payload,
                "task": ask,
            }
            for part in parts.values():
                for name, value in part().items():
                    found.setdefault(name, []).append(value)
    medians = {name: statistics.median(values) for name, values in found.items()}
    print(json.dumps(medians) if wanted.json else _table(medians))


def wire(sink: Sink, messages: int) -> dict[str, float]:
    """µs of this process and of the sink for a message over one of ten connections."""
    content = letters.sample("newsletter").replace(b"\n", b"\r\n").replace(b"\r\n.", b"\r\n..")
    following = b"MAIL FROM:<news@shop.example>\r\nRCPT TO:<reader@example.org>\r\nDATA\r\n"
    octets = content + b"\r\n.\r\n" + following
    poll = select.epoll()
    connections = {}
    for _ in range(CONNECTIONS):
        one = socket.create_connection((sink.host, sink.port))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        one.recv(1000)
        one.sendall(b"EHLO bench\r\n")
        one.recv(1000)
        one.sendall(following)
        poll.register(one, select.EPOLLIN)
        connections[one.fileno()] = one
    begun, before = 0, sink.counted()
    ours, theirs = time.process_time(), cpu_seconds(sink.pid)
    while begun < messages:
        for number, _ in poll.poll():
            # The last line is the 354 that asks for the content; until then, there is more to read.
            if b"\r\n354" in b"\r\n" + connections[number].recv(65536):
                connections[number].send(octets)
                begun += 1
    wait_until(lambda: sink.counted() - before >= messages, seconds=60, what="the last mails")
    ours, theirs = time.process_time() - ours, cpu_seconds(sink.pid) - theirs
    for one in connections.values():
        one.close()
    return {"wire": ours / messages * 1e6, "sink": theirs / messages * 1e6}


def note(redis: Redis, messages: int) -> dict[str, float]:
    """µs of this process and of Redis for a tenth of a note."""
    with socket.create_connection((redis.host, redis.port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        letters_ = b"a" * CONNECTIONS + b"t" * CONNECTIONS
        command = b"*4\r\n$8\r\nSETRANGE\r\n$5\r\nnotes\r\n$4\r\n1000\r\n$20\r\n%b\r\n" % letters_
        ours, theirs = time.process_time(), redis.cpu_seconds()
        for _ in range(messages // CONNECTIONS):
            connection.sendall(command)
            connection.recv(1000)
        ours, theirs = time.process_time() - ours, redis.cpu_seconds() - theirs
    return {"note": ours / messages * 1e6, "redis": theirs / messages * 1e6}


def payload() -> dict[str, float]:
    """µs of this process for one message of a batch."""
    design = Design(
        campaign="floor",
        template="newsletter",
        sender=letters.SENDER,
        templates_path=letters.TEMPLATES,
    )
    composer = Composer(design)
    people = [parse(row, number) for number, row in enumerate(letters.rows(BATCH), 1)]
    made = [composer.compose(one) for one in people if isinstance(one, Recipient)]
    written = encode([Entry(one, bytes(8)) for one in made], 2)
    began = time.process_time()
    for _ in range(10):
        msgpack.unpackb(zstd.decompress(written[2:]))
        for one in made:
            b"".join(one.content)
    return {"payload": (time.process_time() - began) / BATCH / 10 * 1e6}


@contextmanager
def celery(redis: Redis) -> Iterator[Callable[[], dict[str, float]]]:
    """A worker of two processes; call what is given for the µs of a message's share of a task."""
    paths = os.pathsep.join((str(HERE / "contenders"), os.environ.get("PYTHONPATH", "")))
    os.environ |= {"BENCH_REDIS": redis.url, "PYTHONPATH": paths}
    sys.path.insert(0, str(HERE / "contenders"))
    import empty_tasks  # noqa: PLC0415 - it reads the address above

    command = [sys.executable, "-m", "celery", "-A", "empty_tasks", "worker", "-c", str(CORES)]
    worker = subprocess.Popen([*command, "-l", "ERROR"], stdout=subprocess.DEVNULL)
    control = empty_tasks.app.control
    wait_until(lambda: control.ping(limit=1, timeout=1), seconds=30, what="Celery's worker")

    def ask() -> dict[str, float]:
        before = cpu_seconds(worker.pid)
        for number in range(TASKS):
            empty_tasks.nothing.delay(f"campaign:{number}")
        wait_until(lambda: _is_done(redis), seconds=60, what="empty tasks", every=0.05)
        return {"task": (cpu_seconds(worker.pid) - before) / TASKS / BATCH * 1e6}

    try:
        yield ask
    finally:
        worker.terminate()
        worker.wait()


def _is_done(redis: Redis) -> bool:
    return not redis.client.llen("celery") and not redis.client.hlen("unacked")


def _table(of: dict[str, float]) -> str:
    ours = sum(of[name] for name in ("wire", "note", "redis", "payload", "task"))
    most = CORES * 1e6 / (ours + of["sink"])
    lines = ["| CPU µs a newsletter, at least | |", "|---|---:|"]
    named = {
        "wire": "written over ten connections, and the replies read",
        "note": "a note to Redis for each ten",
        "redis": "… and what Redis takes for it",
        "payload": "its share of a batch unpacked, and joined",
        "task": "its share of a task of Celery's",
    }
    lines += [f"| {text} | {of[name]:.1f} |" for name, text in named.items()]
    lines += [
        f"| workers and Redis together | {ours:.1f} |",
        f"| `smtp-sink`, which receives | {of['sink']:.1f} |",
        f"| so {CORES} cores that never wait give | {most:,.0f}/s |",
        f"| smtp-source in the same rounds | {of['source']:,.0f}/s |",
        f"| the most that can be reached of it | {most / of['source']:.2f} |",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
