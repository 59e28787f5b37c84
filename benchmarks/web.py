"""What one click costs: POSTs to a running `mailer web`, each of another recipient.

    python benchmarks/web.py [--posts 20000] [--connections 16]

Prints the rate, the 99th percentile of the time to the answer, and the CPU time a request of the server's
process, by the system's own account of it.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from itertools import chain
from pathlib import Path

from servers import Redis

from mailer.compose.unsubscribe import TokenSigner
from mailer.mail.policy import CampaignPolicy
from mailer.store.campaigns import Campaigns
from mailer.store.connection import connect

TICKS = os.sysconf("SC_CLK_TCK")
PORT = 18_025


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--posts", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=16)
    wanted = parser.parse_args()
    with Redis() as redis, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mailer.toml"
        file.write_text(f'redis = "{redis.url}"\n[unsubscribe]\nsecret_env = "KEY"\n')
        Campaigns(connect(redis.url)).open(
            "spring", digest="d", summary={}, policy=CampaignPolicy(), accept_changes=False, now=1.0
        )
        server = subprocess.Popen(
            [sys.executable, "-m", "mailer", "web", "--port", str(PORT)],
            cwd=folder,
            env=os.environ | {"KEY": "secret", "MAILER_CONFIG": str(file)},
            stdout=subprocess.DEVNULL,
        )
        try:
            asyncio.run(measured(server.pid, wanted.posts, wanted.connections))
        finally:
            server.terminate()
            server.wait()


async def measured(pid: int, posts: int, connections: int) -> None:
    await listening()
    signer = TokenSigner("secret")
    tokens = [signer.token(f"r{number}@example.org", "spring") for number in range(posts)]
    await clicks(tokens[:500])  # everything is loaded by now
    before, began = cpu(pid), time.perf_counter()
    shares = [tokens[number::connections] for number in range(connections)]
    seconds = sorted(chain.from_iterable(await asyncio.gather(*map(clicks, shares))))
    took, used = time.perf_counter() - began, cpu(pid) - before
    print(f"{posts / took:,.0f} POST/s over {connections} connections")
    print(
        f"p50 {1000 * seconds[posts // 2]:.1f} ms, p99 {1000 * seconds[posts * 99 // 100]:.1f} ms"
    )
    print(f"{1e6 * used / posts:.0f} us CPU a request")


async def listening() -> None:
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", PORT)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    sys.exit("mailer web does not listen")


async def clicks(tokens: list[str]) -> list[float]:
    """One connection's POSTs, one after the other; seconds of each."""
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    body = b"List-Unsubscribe=One-Click"
    took = []
    for token in tokens:
        began = time.perf_counter()
        writer.write(
            f"POST /u/{token} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n\r\n".encode()
            + body
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        took.append(time.perf_counter() - began)
    writer.close()
    return took


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


if __name__ == "__main__":
    main()
