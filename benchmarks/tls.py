"""What TLS costs the one who sends: shaking hands, in full and taken up again; a newsletter's octets.

    python benchmarks/tls.py [--rounds 200]

CPU microseconds of the client alone, server and client in memory, medians. The server's certificate is
RSA of 2048 bits, which most providers have, or ECDSA (P-256); it is verified against one authority.
"""

import argparse
import ssl
import statistics
import time

import trustme

NEWSLETTER = b"All that is new, and some that is not, in lines as long as mail has them.\r\n" * 204
REPLY = b"250 2.0.0 Ok: queued as 4Xk1Yz2R3hz9sT\r\n"
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
KEYS = {"RSA-2048": trustme.KeyType.RSA, "ECDSA": trustme.KeyType.ECDSA}


class Line:
    """A client and a server that hear each other without a network; *cpu* is what the client took."""

    def __init__(self, client: ssl.SSLContext, server: ssl.SSLContext, earlier) -> None:
        forth, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.cpu = 0.0
        self.client = self._timed(
            client.wrap_bio, back, forth, server_hostname="mx.example", session=earlier
        )
        self.server = server.wrap_bio(forth, back, server_side=True)

    def shake_hands(self) -> None:
        waiting = {"client", "server"}
        while waiting:
            for name in sorted(waiting):
                try:
                    if name == "client":
                        self._timed(self.client.do_handshake)
                    else:
                        self.server.do_handshake()
                    waiting.remove(name)
                except ssl.SSLWantReadError:
                    continue

    def send(self) -> None:
        """A newsletter one way, its reply the other; with TLS 1.3 the first reply brings tickets."""
        self._timed(self.client.write, NEWSLETTER)
        left = len(NEWSLETTER)
        while left:
            left -= len(self.server.read(1 << 16))
        self.server.write(REPLY)
        self._timed(self.client.read, 1 << 16)

    def _timed(self, call, *arguments, **words):
        began = time.process_time()
        try:
            return call(*arguments, **words)
        finally:
            self.cpu += time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    print("TLS  certificate   in full  taken up again   a newsletter and its reply")
    for version, number in VERSIONS.items():
        for name, kind in KEYS.items():
            client, server = _contexts(kind, number)
            full, again, octets = zip(*(_round(client, server) for _ in range(rounds)), strict=True)
            costs = (statistics.median(found) * 1e6 for found in (full, again, octets))
            print(f"{version:5}{name:10}" + "{:11.0f}{:16.0f}{:19.1f}".format(*costs), flush=True)


def _contexts(kind: trustme.KeyType, version: ssl.TLSVersion):
    authority = trustme.CA(key_type=kind)
    client = ssl.create_default_context()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(client)
    authority.issue_cert("mx.example", key_type=kind).configure_cert(server)
    server.maximum_version = version
    return client, server


def _round(client: ssl.SSLContext, server: ssl.SSLContext) -> tuple[float, float, float]:
    first = Line(client, server, None)
    first.shake_hands()
    in_full = first.cpu
    first.send()
    octets = first.cpu
    first.send()
    second = Line(client, server, first.client.session)
    second.shake_hands()
    second.send()
    if not second.client.session_reused:
        raise SystemExit("the session was not taken up again")
    taken_up = second.cpu - (first.cpu - octets)
    return in_full, taken_up, first.cpu - octets


if __name__ == "__main__":
    main()
