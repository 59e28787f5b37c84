"""The LMTP listener as a process of its own, until it is asked to stop."""

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Final

from mailer.config import Settings
from mailer.errors import ConfigError
from mailer.feedback.intake.lmtp import Listener
from mailer.feedback.returns import Tally, returns_of

_HIGHEST_PORT: Final = 65535


def serve(
    settings: Settings, where: str, say: Callable[[str], object], done: Callable[[Tally], object]
) -> None:
    """Listen at *where*, ``host:port``, until SIGTERM or SIGINT; *done* hears of every message.

    What was not acknowledged by then is handed over again. Raises `ConfigError` for a place that cannot
    be listened at.
    """
    host, _, port = where.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port[:6]) > _HIGHEST_PORT:
        raise ConfigError(f"feedback.lmtp: {where!r} is no host and port, such as 127.0.0.1:2424")
    listener = Listener(returns_of(settings), done)
    try:
        asyncio.run(_until_stopped(listener, host.strip("[]"), int(port), say))
    except OSError as exc:
        why = os.strerror(exc.errno) if exc.errno and exc.errno > 0 else exc.strerror
        raise ConfigError(f"cannot listen at {where}: {why or type(exc).__name__}") from exc


async def _until_stopped(
    listener: Listener, host: str, port: int, say: Callable[[str], object]
) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    server = await listener.listen(host, port)
    taken = server.sockets[0].getsockname()
    say(f"listening by LMTP at {taken[0]}:{taken[1]}")
    await stopped.wait()
    server.close()
