"""What the SMTP engine alone can do: finished messages of 15 KB into Postfix's `smtp-sink`.

    python benchmarks/smtp.py                      all, at 0, 20 and 80 ms: some minutes
    python benchmarks/smtp.py --rounds 1 --seconds 1 --distances 0

Each contender is a process of its own that is given the octets of one message; all run in turn, round
after round, and medians are printed. *ratio* is to smtp-source in the same run: Postfix's own load
generator, four round trips a message. *of the law* is to connections / RTT, what one round trip a message
allows. CPU is the sending process's, kernel included.

On loopback ten connections, at a distance fifty. Contenders that are not installed are left out:
``pip install aiosmtplib``; ``npm install nodemailer`` with NODE_PATH, or one run of `make bench`.
"""

import argparse
import asyncio
import importlib.util
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
CONTENT = b"From: news@shop.example\r\nTo: reader@example.org\r\nSubject: news\r\n\r\n" + (
    b"All that is new, and some that is not, in lines as long as mail has them.\r\n" * 204
)
"""15.3 KB, as a newsletter has."""
PATHS = ("news@shop.example", "reader@example.org")

NODE = """
const [port, count, connections] = process.argv.slice(1).map(Number);
const raw = require('fs').readFileSync(0);
const transport = require('nodemailer').createTransport({
  host: '127.0.0.1', port, pool: true, maxConnections: connections, maxMessages: Infinity,
  ignoreTLS: true,
});
const envelope = {from: 'news@shop.example', to: 'reader@example.org'};
(async () => {
  const began = process.hrtime.bigint();
  const used = process.cpuUsage();
  let next = 0;
  const one = async () => { while (next++ < count) await transport.sendMail({envelope, raw}); };
  await Promise.all(Array.from({length: connections}, one));
  const cpu = process.cpuUsage(used);
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  console.log(JSON.stringify({seconds, cpu: (cpu.user + cpu.system) / 1e6}));
  transport.close();
})();
"""


class Admitting:
    """A gate that admits all."""

    def admit(self, wanted: int) -> int:
        return wanted

    def may_log_in(self) -> bool:
        return True

    def logged_in(self) -> None:
        pass

    def refused(self, *_what: object) -> None:
        raise SystemExit(f"refused: {_what}")

    def closed(self, count: int) -> None:
        pass


class Forgetting:
    """A journal that notes nothing, as its rivals do."""

    def __init__(self, answer) -> None:
        self.answer = answer

    def commit(self, results, starting):
        return self.answer


def engine(port: int, count: int, connections: int) -> None:
    from mailer.smtp import Driver, Fate, Proceed, Security, Server, Submission  # noqa: PLC0415

    server = Server(
        name="sink",
        host="127.0.0.1",
        port=port,
        security=Security.PLAIN,
        max_connections=connections,
        max_messages_per_connection=count,
    )
    driver = Driver(server, Admitting())
    message = Submission(*PATHS, CONTENT)
    results = driver.send([message] * count, Forgetting(Proceed.GO_ON))
    if any(result.fate is not Fate.ACCEPTED for result in results):
        raise SystemExit("not all was accepted")
    driver.close()


def standard_library(port: int, count: int, connections: int) -> None:
    import smtplib  # noqa: PLC0415
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    def send(share: int) -> None:
        with smtplib.SMTP("127.0.0.1", port) as client:
            for _ in range(share):
                client.sendmail(*PATHS, CONTENT)

    with ThreadPoolExecutor(connections) as pool:
        shares = [count // connections + (n < count % connections) for n in range(connections)]
        list(pool.map(send, shares))


def aiosmtplib_pool(port: int, count: int, connections: int) -> None:
    import aiosmtplib  # noqa: PLC0415

    async def send(share: int) -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as client:
            for _ in range(share):
                await client.sendmail(PATHS[0], [PATHS[1]], CONTENT)

    async def run() -> None:
        shares = [count // connections + (n < count % connections) for n in range(connections)]
        await asyncio.gather(*map(send, shares))

    asyncio.run(run())


CONTENDERS = {
    "mailer": engine,
    "smtp-source": None,
    "smtplib, threads": standard_library,
    "aiosmtplib": aiosmtplib_pool,
    "nodemailer, pooled": None,
}


def node_environment() -> dict[str, str]:
    """Where `make bench` has put nodemailer, unless NODE_PATH says otherwise."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    fetched = str(cache / "mailer-benchmarks" / "node_modules")
    return {"NODE_PATH": fetched} | os.environ


def is_here(name: str) -> bool:
    if name == "aiosmtplib":
        return importlib.util.find_spec("aiosmtplib") is not None
    if name == "nodemailer, pooled":
        node = shutil.which("node")
        found = node and subprocess.run(
            [node, "-e", "require('nodemailer')"],
            capture_output=True,
            check=False,
            env=node_environment(),
        )
        return bool(found) and found.returncode == 0
    return True


def run(name: str, port: int, count: int, connections: int) -> tuple[float, float]:
    """Seconds and CPU seconds that *name* takes for *count* messages."""
    numbers = [str(port), str(count), str(connections)]
    if name == "smtp-source":
        return _smtp_source(port, count, connections)
    if name.startswith("nodemailer"):
        command = ["node", "-e", NODE, *numbers]
    else:
        command = [sys.executable, __file__, "--run", name, *numbers]
    done = subprocess.run(
        command, input=CONTENT, capture_output=True, check=True, env=node_environment()
    )
    found = json.loads(done.stdout)
    return found["seconds"], found["cpu"]


def _smtp_source(port: int, count: int, connections: int) -> tuple[float, float]:
    binary = shutil.which("smtp-source", path=os.environ.get("PATH", "") + ":/usr/sbin")
    assert binary is not None, "smtp-source comes with Postfix"
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [binary, "-s", str(connections), "-m", str(count), "-l", str(len(CONTENT)),
         "-f", PATHS[0], "-t", PATHS[1], f"127.0.0.1:{port}"],
        check=True, capture_output=True,
    )  # fmt: skip
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, cpu


def contend(name: str, numbers: list[str]) -> None:
    """Be the contender: what the process has cost until now does not count."""
    work = CONTENDERS[name]
    if name == "mailer":
        import mailer.smtp  # noqa: F401, PLC0415
    began, used = time.perf_counter(), time.process_time()
    work(*map(int, numbers))
    print(json.dumps({"seconds": time.perf_counter() - began, "cpu": time.process_time() - used}))


def measure(rtt: float, rounds: int, seconds: float) -> None:
    from servers import Distance, Sink  # noqa: PLC0415

    names = [name for name in CONTENDERS if is_here(name)]
    connections = 50 if rtt else 10
    rates: dict[str, list[float]] = {name: [] for name in names}
    costs: dict[str, list[float]] = {name: [] for name in names}
    with Sink() as sink:
        place = Distance(sink, rtt) if rtt else sink
        with place if rtt else sink_is_open():
            counts = {name: _count(name, place.port, connections, seconds) for name in names}
            for _ in range(rounds):
                for name in names:
                    count = counts[name]
                    took, cpu = run(name, place.port, count, connections)
                    rates[name].append(count / took)
                    costs[name].append(cpu / count * 1e6)
    report(rtt, connections, rates, costs)


def _count(name: str, port: int, connections: int, seconds: float) -> int:
    """How many messages keep *name* busy for *seconds*; connecting and goodbye count as well."""
    count = connections * 4
    for _ in range(2):  # the first try is little else than connecting
        took, _ = run(name, port, count, connections)
        count = max(connections * 8, int(count / took * seconds))
    return count


class sink_is_open:  # noqa: N801 - a context that is open already
    def __enter__(self) -> None:
        pass

    def __exit__(self, *_exc: object) -> None:
        pass


def report(rtt: float, connections: int, rates, costs) -> None:
    source = statistics.median(rates["smtp-source"])
    law = connections / rtt if rtt else None
    print(f"\n{rtt * 1000:.0f} ms, {connections} connections, {len(CONTENT)} octets a message")
    print(f"{'':22}{'msg/s':>9}{'ratio':>8}{'of the law':>12}{'CPU us/msg':>12}")
    for name, found in rates.items():
        rate = statistics.median(found)
        share = f"{rate / law:.2f}" if law else "-"
        cost = statistics.median(costs[name])
        print(f"{name:22}{rate:9,.0f}{rate / source:8.2f}{share:>12}{cost:12.0f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="that each run is to take")
    parser.add_argument("--distances", default="0,20,80", help="round trips in milliseconds")
    parser.add_argument("--run", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        contend(options.run[0], options.run[1:])
        return
    for distance in options.distances.split(","):
        measure(float(distance) / 1000, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
