"""A Redis server for platforms without one: fakeredis over TCP, in memory only."""

import sys
from pathlib import Path

from fakeredis import TcpFakeServer


def main() -> None:
    """Serve on a free port of loopback and write its number to the file given as argument."""
    server = TcpFakeServer(("127.0.0.1", 0), server_type="redis")
    server.daemon_threads = True
    Path(sys.argv[1]).write_text(str(server.server_address[1]), encoding="ascii")
    server.serve_forever()


if __name__ == "__main__":
    main()
