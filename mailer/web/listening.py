"""Where does `mailer web` listen? The sockets are opened here: what is in the way is told in one line."""

import errno
import os
import socket
from typing import Final

from mailer.errors import ConfigError

_BACKLOG: Final = 2048
"""Connections that wait until they are taken; uvicorn's own number."""

# `localhost` also names ::1 on machines without IPv6.
_NOT_HERE: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def listen(host: str, port: int) -> tuple[str, list[socket.socket]]:
    """Listen at each address of *host*; returns ``host:port`` and the sockets, all at one port.

    With *port* 0 the system chooses it. Raises `ConfigError` where nothing can be listened at.
    """
    sockets: list[socket.socket] = []
    try:
        _open(host, port, sockets)
    except (OSError, UnicodeError) as exc:  # a label of a name may be too long
        for one in sockets:
            one.close()
        raise ConfigError(f"cannot listen at {_written(host, port)}: {_why(exc)}") from None
    return _written(host, sockets[0].getsockname()[1]), sockets


def _open(host: str, port: int, sockets: list[socket.socket]) -> None:
    missing = OSError(errno.EADDRNOTAVAIL, "")
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, _, _, _, address in dict.fromkeys(found):
        place = (address[0], port, *address[2:])
        try:
            opened = socket.create_server(place, family=family, backlog=_BACKLOG)
        except OSError as exc:
            if exc.errno not in _NOT_HERE:
                raise
            missing = exc
            continue
        # Its connections inherit it. asyncio's own loop sets it for none of such a socket, and a page's
        # head and body, which leave in two writes, would wait 40 ms for each other (Nagle's algorithm).
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sockets.append(opened)
        port = opened.getsockname()[1]
    if not sockets:
        raise missing


def _why(exc: OSError | UnicodeError) -> str:
    """What the system says; `create_server` adds the address to it, which is told already."""
    if isinstance(exc, UnicodeError):
        return "no name of a host"
    if isinstance(exc, socket.gaierror) or not exc.errno:
        return exc.strerror or str(exc)
    return os.strerror(exc.errno)


def _written(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
