"""A receiver in Python that needs nothing installed: answers every command, throws content away.

    python blackhole.py                    prints its port
    python blackhole.py --tell "X-Probe: " prints what stands behind that in a mail, and when it took it

It counts nothing and checks nothing; `smtp-sink` is what rates are measured against.
"""

import asyncio
import sys
import time

_GREETING = b"220 blackhole ESMTP\r\n"
_EHLO = b"250-blackhole\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 0\r\n"
_OK = b"250 2.0.0 Ok\r\n"
_END = b"\r\n.\r\n"


class Blackhole(asyncio.Protocol):
    """One session. *rest* is what was read and not yet understood."""

    told = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.rest = b""
        self.in_content = False
        self.probe = ""
        transport.write(_GREETING)

    def data_received(self, octets: bytes) -> None:
        data, replies = self.rest + octets, []
        while data:
            if self.in_content:
                content, end, after = data.partition(_END)
                if self.told and self.told in content:
                    self.probe = content.partition(self.told)[2].partition(b"\r\n")[0].decode()
                if not end:
                    data = data[-4:]
                    break
                if self.probe:
                    print(self.probe, time.monotonic(), flush=True)
                    self.probe = ""
                data, self.in_content = after, False
                replies.append(_OK)
                continue
            line, end, after = data.partition(b"\r\n")
            if not end:
                break
            data = after
            replies.append(self._answer(line[:4].upper()))
        self.rest = data
        self.transport.write(b"".join(replies))

    def _answer(self, verb: bytes) -> bytes:
        if verb == b"DATA":
            self.in_content = True
            self.rest = b""
            return b"354 Go on\r\n"
        if verb == b"EHLO":
            return _EHLO
        if verb == b"QUIT":
            asyncio.get_running_loop().call_soon(self.transport.close)
            return b"221 2.0.0 Bye\r\n"
        return _OK


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Blackhole, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--tell"]:
        Blackhole.told = sys.argv[2].encode()
    asyncio.run(main())
