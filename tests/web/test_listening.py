"""Where `mailer web` listens."""

import socket

from mailer.web.listening import listen


def test_a_connection_sends_each_write_at_once():
    """Else the body of an answer waits for the receiver's word on its head: 40 ms, by asyncio's loop."""
    where, (opened, *others) = listen("127.0.0.1", 0)
    try:
        host, _, port = where.rpartition(":")
        with socket.create_connection((host, int(port))):
            accepted, _ = opened.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    finally:
        for one in (opened, *others):
            one.close()
