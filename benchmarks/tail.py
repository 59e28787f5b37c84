"""Is a rate held until the last message, and what do many small campaigns cost beside one large one?

    python benchmarks/tail.py [--rate 100] [--seconds 20] [--campaigns 200] [--rounds 3] [--json]

*rate*: one campaign under a rate, through two worker processes. Told are the messages that arrived in
each second from the first message on, without the last second, which is not whole. *campaigns*: the same
number of newsletters, in one campaign and in many at once, in turn; CPU of workers and Redis a message.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import letters
from cases import Campaigns, Setting
from latency import Receiver
from servers import Redis, Sink, wait_until

from mailer import Campaign, Settings
from mailer.queues.application import application


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--campaigns", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    found = {"rate": held(wanted.rate, wanted.seconds)} if wanted.seconds else {}
    if wanted.campaigns:
        found["campaigns"] = many(wanted.campaigns, wanted.rounds)
    if wanted.json:
        print(json.dumps(found))
        return
    for seconds in (found.get("rate"),):
        if seconds:
            print(f"at {wanted.rate}/s, in each second: {' '.join(map(str, seconds))}")
            least, most = min(seconds) / wanted.rate, max(seconds) / wanted.rate
            print(f"least {least:.2f}, most {most:.2f}, mean {statistics.mean(seconds):.1f}/s")
    if "campaigns" in found:
        row = found["campaigns"]
        print(f"one campaign {row['one']:.0f} us, {wanted.campaigns} campaigns {row['many']:.0f} us: "
              f"{row['ratio']:.2f} times")  # fmt: skip


def held(rate: int, seconds: int) -> list[int]:
    """How many messages arrived in each whole second of a campaign."""
    receiver = Receiver("Message-ID: ")
    with tempfile.TemporaryDirectory() as name, Redis() as redis:
        folder = Path(name)
        account = f'url = "smtp://127.0.0.1:{receiver.port}"\nrate = ["{rate}/second"]\n'
        (folder / "mailer.toml").write_text(
            f'redis = "{redis.url}"\ntemplates = "{letters.TEMPLATES}"\n[accounts.primary]\n{account}'
        )
        log = (folder / "worker.log").open("wb")
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "mailer", "worker", "-c", "2", "-l", "WARNING"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder,
        )  # fmt: skip
        try:
            settings = Settings.model_validate(
                {
                    "redis": redis.url,
                    "templates": letters.TEMPLATES,
                    "accounts": {"primary": {"url": f"smtp://127.0.0.1:{receiver.port}"}},
                },
                context={"folder": folder},
            )
            app = application(settings.broker_url)
            wait_until(lambda: app.control.ping(limit=1, timeout=1), seconds=30, what="the worker")
            campaign = Campaign("held", template="text", sender=letters.SENDER, settings=settings)
            total = rate * seconds
            campaign.enqueue(letters.rows(total))
            wait_until(
                lambda: len(receiver.taken) == total,
                seconds=3 * seconds + 30, what="all", every=0.1,
            )  # fmt: skip
        finally:
            worker.terminate()
            worker.wait(30)
            log.close()
            receiver.close()
    first = min(receiver.taken.values())
    counts = Counter(int(at - first) for at in receiver.taken.values())
    return [counts[second] for second in range(max(counts))]


def many(number: int, rounds: int) -> dict[str, float]:
    """CPU µs a message, workers and Redis, of one campaign and of *number* at once."""
    costs: dict[int, list[float]] = {1: [], number: []}
    total = 60 * number
    with Redis() as redis, Sink() as sink, tempfile.TemporaryDirectory() as folder:
        setting = Setting(redis, sink, sink, 0.0, Path(folder))
        for _ in range(rounds):
            for count, found in costs.items():
                kind = type("Many", (Campaigns,), {"number": count})
                with kind(setting) as case:
                    case.run("newsletter", total)
                    run = case.run("newsletter", total)
                    found.append(run.cpu_us + run.redis_us)
    one, several = (statistics.median(found) for found in costs.values())
    return {"one": one, "many": several, "ratio": several / one}


if __name__ == "__main__":
    main()
