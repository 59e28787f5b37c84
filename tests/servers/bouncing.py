"""A real Postfix that takes mail, cannot deliver some of it, and delivers its own notices of that.

Mailboxes of gone.example that begin with `no` are refused by the server behind it. What Postfix sends
back goes to mail.shop.example: by LMTP, through a pipe, or into a Maildir, as the test wants.
"""

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import free_port
from tests.servers.configurations import POSTFIX, POSTFIX_SERVICES
from tests.servers.real import keeper
from tests.servers.waiting import listening

SHOP = "mail.shop.example"

_MAIN = (
    POSTFIX
    + """
mynetworks = 127.0.0.0/8
alias_database =
recipient_delimiter = +
relay_domains = gone.example {relayed}
transport_maps = texthash:{home}/transport
smtpd_relay_restrictions = permit_mynetworks, reject
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
destination_concurrency_negative_feedback = 0
destination_concurrency_failed_cohort_limit = 0
pipe_destination_recipient_limit = 1
transport_retry_time = 1s
{virtual}
"""
)

_VIRTUAL = """
virtual_mailbox_domains = mail.shop.example
virtual_mailbox_base = {maildir}
virtual_mailbox_maps = static:Maildir/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
virtual_transport = virtual
"""

_MASTER = (
    POSTFIX_SERVICES
    + """
{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
virtual unix - n n - - virtual
scache unix - - n - 1 scache
retry unix - - n - - error
reader unix - n n - 1 pipe
  flags=R user=nobody argv=/usr/bin/python3 {home}/hand-over.py {handed} ${{recipient}}
"""
)

# A pipe runs as an unprivileged user, who may not read this project: what it is given it passes on to the
# test, which runs the reader, and ends as that ended.
_HAND_OVER = """
import os, socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as test:
    test.sendall(sys.argv[2].encode() + b"\\n" + sys.stdin.buffer.read())
    test.shutdown(socket.SHUT_WR)
    code = int(test.makefile().readline())
if code < 0:
    os.kill(os.getpid(), -code)
sys.exit(code)
"""

Handed = Callable[[str, bytes], int]
"""Runs the reader with what came for a mailbox; returns its exit code, negative after a signal."""


@dataclass(frozen=True, slots=True)
class Bouncing:
    """The server at *port*; *home* has its log."""

    port: int
    home: Path

    def log(self) -> str:
        return (self.home / "log").read_text()


@contextlib.contextmanager
def bouncing(
    transport: str, *, handed: Handed | None = None, maildir: tuple[Path, int, int] | None = None
) -> Iterator[Bouncing]:
    """Run it; notices go by *transport* (``lmtp:…``, ``reader:``), or into ``Maildir`` in a folder."""
    home = Path(tempfile.mkdtemp(prefix="mailer-bouncing-"))
    home.chmod(0o755)
    for name in ("spool", "data", "config"):
        (home / name).mkdir(mode=0o755)
    shutil.chown(home / "data", "postfix")
    with contextlib.ExitStack() as stack:
        refuser = stack.enter_context(keeper())
        hand = stack.enter_context(_handing(handed)) if handed else 0
        virtual = ""
        if maildir:
            folder, uid, gid = maildir
            virtual = _VIRTUAL.format(maildir=folder, uid=uid, gid=gid)
        (home / "hand-over.py").write_text(_HAND_OVER)
        rules = f"gone.example smtp:[127.0.0.1]:{refuser.port}\n"
        rules += "" if maildir else f"{SHOP} {transport}\n"
        (home / "transport").write_text(rules)
        relayed = "" if maildir else SHOP
        main = _MAIN.format(home=home, virtual=virtual, relayed=relayed)
        (home / "config/main.cf").write_text(main)
        port = free_port()
        master = _MASTER.format(port=f"127.0.0.1:{port}", home=home, handed=hand)
        (home / "config/master.cf").write_text(master)
        with running(home, port):
            yield Bouncing(port, home)


@contextlib.contextmanager
def running(home: Path, port: int) -> Iterator[None]:
    """Run the Postfix that is configured in *home*; the folder goes with it."""
    command = ["postfix", "-c", home / "config"]
    started = subprocess.run([*command, "start"], capture_output=True, text=True, check=False)
    assert started.returncode == 0, started.stderr
    try:
        listening(port, greets=True)
        yield
    finally:
        subprocess.run([*command, "stop"], capture_output=True, check=False)
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def _handing(handed: Handed) -> Iterator[int]:
    """Where the pipe's program hands over: each message is read by *handed*, and its code is answered."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                taken, _ = listener.accept()
            except OSError:
                return
            with taken, taken.makefile("rb") as stream:
                mailbox = stream.readline().decode().strip()
                code = handed(mailbox, stream.read())
                taken.sendall(f"{code}\n".encode())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def reader(*words: str, folder: Path, environ: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start ``mailer feedback …`` in *folder*."""
    return subprocess.Popen(
        [sys.executable, "-m", "mailer", "feedback", *words],
        cwd=folder,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
