"""aiosmtplib: one process, a task for each connection, all taking from one list."""

import asyncio

import aiosmtplib
import letters
from orders import SETUP, serve


async def _send(kind: str, count: int, run: str) -> None:
    composer = letters.PlainComposer(kind)
    rows = letters.rows(count, run)

    async def one_connection() -> None:
        smtp = aiosmtplib.SMTP(
            hostname=SETUP["host"], port=SETUP["port"], use_tls=False, start_tls=False
        )
        async with smtp:
            for row in rows:
                await smtp.send_message(composer.compose(row))

    connections = min(SETUP["connections"], count)
    await asyncio.gather(*(one_connection() for _ in range(connections)))


def enqueue(kind: str, count: int, run: str) -> int:
    asyncio.run(_send(kind, count, run))
    return count


serve(enqueue=enqueue)
