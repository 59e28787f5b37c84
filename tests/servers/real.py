"""Real mail servers, each in a folder of its own, that keep what they take.

Each is a context manager that gives a `RealServer`. Mailboxes that begin with `no` exist at none of them.
"""

import contextlib
import functools
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.conftest import PLACES, free_port
from tests.servers.configurations import EXIM
from tests.servers.scripted import ScriptedServer
from tests.servers.waiting import eventually

PATIENCE = 60.0
"""Seconds that a server has to come up, or to file what it has taken."""

HARAKA = Path(os.environ.get("MAILER_HARAKA") or Path.home() / ".cache/mailer-tests/haraka")
"""Where `npm install Haraka` was done; `.ci/run` does it."""

Taken = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class RealServer:
    """A server at *port* of this machine; *taken* reads recipient and message of what it has accepted."""

    port: int
    taken: Callable[[], Taken]

    def taken_when(self, count: int, mark: str) -> Taken:
        """What it has taken for mailboxes with *mark* once that is *count*.

        OpenSMTPD's spool is the system's: it may still hold what another run has left.
        """

        def found() -> Taken:
            return [(who, message) for who, message in self.taken() if mark in who]

        eventually(lambda: len(found()) >= count, PATIENCE, f"message {count} for {mark!r}")
        return found()


def keeper() -> ScriptedServer:
    """What stands behind a server that only passes on: it keeps what comes."""
    server = ScriptedServer(offers=("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 33554432"))
    server.answer("RCPT", "550 5.1.1 no such user", to="<no")
    return server


def kept_by(server: ScriptedServer) -> Callable[[], Taken]:
    """What that has got so far, when it is asked."""
    return lambda: [(one.mailboxes[0], one.content) for one in list(server.taken)]


@contextlib.contextmanager
def folder(name: str) -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix=f"mailer-{name}-"))
    home.chmod(0o755)
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _listens(server: subprocess.Popen, home: Path, port: int) -> bool:
    """Whether it takes connections; it is an error if it has ended."""
    assert server.poll() is None, (home / "out").read_text()
    with socket.create_connection(("127.0.0.1", port), 5):
        return True


@contextlib.contextmanager
def running(command: list[str | Path], home: Path, port: int, **more) -> Iterator[None]:
    with (home / "out").open("wb") as out:
        server = subprocess.Popen(command, stdout=out, stderr=out, cwd=home, **more)
    try:
        listens = functools.partial(_listens, server, home, port)
        eventually(listens, PATIENCE, f"{command[0]} at port {port}", no=(OSError,))
        yield
    finally:
        server.terminate()
        server.wait(PATIENCE)


# Exim.

_EXIM = (
    EXIM
    + """
tls_advertise_hosts = {tls}
pipelining_advertise_hosts = {pipelining}
chunking_advertise_hosts = {chunking}
smtputf8_advertise_hosts = *
accept_8bitmime = true
smtp_accept_max_per_connection = 0
smtp_accept_max = 50
queue_only = true
message_size_limit = 20M
smtp_accept_max_nonmail = 1000
acl_smtp_rcpt = recipients
acl_smtp_data = accept
{main}
begin acl
recipients:
  deny local_parts = ^no
       message = Unrouteable address
  accept
{sections}
"""
)

# A certificate that the authority has signed is enough for TLS; EXTERNAL says whose it is.
_BY_CERTIFICATE = """
tls_certificate = {home}/server.pem
tls_privatekey = {home}/server.pem
tls_verify_certificates = {home}/authority.pem
tls_try_verify_hosts = *
acl_smtp_mail = ${{if eq{{$authenticated_id}}{{shop}}{{accept}}{{deny}}}}
"""
_EXTERNAL = """
begin authenticators
by_certificate:
  driver = external
  public_name = EXTERNAL
  server_advertise_condition = $tls_in_certificate_verified
  server_param2 = ${{certextract{{subj_altname,dns,>:}}{{$tls_in_peercert}}}}
  server_condition = ${{if inlist{{$auth1.example}}{{$auth2}}}}
  server_set_id = $auth1
"""


def _recipient(header_file: Path) -> str:
    """The one recipient in Exim's header file: behind the line that says how many there are."""
    return header_file.read_text("utf-8", "replace").partition("\n1\n")[2].partition("\n")[0]


def _message(header_file: Path) -> bytes:
    """The body from Exim's data file, which begins with the message's name, behind an empty header."""
    data = header_file.with_name(header_file.name.removesuffix("H") + "D")
    return b"\r\n\r\n" + data.read_bytes().partition(b"\n")[2]


@contextlib.contextmanager
def exim(
    *, pipelining: bool = True, chunking: bool = True, authority: trustme.CA | None = None
) -> Iterator[RealServer]:
    """An Exim that keeps all in its spool; only root can start one.

    With an *authority* it speaks TLS, and takes mail of `shop` only: by a certificate of `shop.example`.
    """
    program, port = shutil.which("exim4", path=PLACES), free_port()
    assert program is not None
    with folder("exim") as home:
        (home / "spool").mkdir()
        if authority is not None:
            authority.cert_pem.write_to_path(home / "authority.pem")
            authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
                home / "server.pem"
            )
        for path in (home, *home.iterdir()):
            shutil.chown(path, "nobody", "nogroup")
        switches = {
            "pipelining": "*" if pipelining else "",
            "chunking": "*" if chunking else "",
            "tls": "*" if authority else "",
            "main": _BY_CERTIFICATE.format(home=home) if authority else "",
            "sections": _EXTERNAL.format() if authority else "",
        }
        (home / "conf").write_text(_EXIM.format(home=home, port=port, **switches))

        def taken() -> Taken:
            headers = (home / "spool/input").rglob("*-H")
            return [(_recipient(path), _message(path)) for path in headers]

        with running([program, "-C", home / "conf", "-bdf"], home, port):
            yield RealServer(port, taken)


# Dovecot's submission service: it passes on while the client waits.

_DOVECOT = """
protocols = submission
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/log
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
mail_location = maildir:{home}/mail/%u
hostname = mx.example
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
submission_relay_trusted = no
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={home}/mail/%u
}}
service submission-login {{
  inet_listener submission {{
    port = {port}
  }}
}}
service anvil {{
  chroot =
}}
"""


@contextlib.contextmanager
def dovecot() -> Iterator[RealServer]:
    """Dovecot's submission service; any password will do. Only root can start it."""
    program, port = shutil.which("dovecot", path=PLACES), free_port()
    assert program is not None
    with folder("dovecot") as home, keeper() as relay:
        (home / "mail").mkdir()
        shutil.chown(home / "mail", "nobody", "nogroup")
        (home / "conf").write_text(_DOVECOT.format(home=home, port=port, relay=relay.port))
        with running([program, "-F", "-c", home / "conf"], home, port):
            yield RealServer(port, kept_by(relay))


# Haraka.

_KEEP_JS = """
const fs = require('fs');
let count = 0;
exports.hook_mail = (next) => next(OK);
exports.hook_rcpt = (next, connection, params) =>
    params[0].user.startsWith('no') ? next(DENY, 'no such user') : next(OK);
exports.hook_queue = (next, connection) => {
    const transaction = connection.transaction;
    const name = `${__dirname}/../mail/${process.pid}-${count++}`;
    const file = fs.createWriteStream(`${name}.tmp`);
    const {user, host} = transaction.rcpt_to[0];
    file.write(`${user}@${host}\\r\\n`);
    file.on('close', () => { fs.renameSync(`${name}.tmp`, `${name}.eml`); next(OK); });
    transaction.message_stream.pipe(file, {line_endings: '\\r\\n', ending_dot: false});
};
"""


@contextlib.contextmanager
def haraka() -> Iterator[RealServer]:
    """A Haraka with a plugin that keeps what is queued."""
    port = free_port()
    with folder("haraka") as home:
        for name in ("config", "plugins", "mail", "queue"):
            (home / name).mkdir()
        (home / "plugins/keep.js").write_text(_KEEP_JS)
        ini = (HARAKA / "node_modules/Haraka/config/connection.ini").read_text()
        # It breaks lines from 992 octets on; RFC 5321 allows 998.
        ini = ini.replace("data_line_length=992", "data_line_length=1000")
        (home / "config/connection.ini").write_text(ini)
        for name, text in {
            "smtp.ini": f"listen=127.0.0.1:{port}\nnodes=0\n",
            "plugins": "keep\n",
            "me": "mx.example\n",
            "loglevel": "WARN\n",
            "host_list": "example.org\n",
        }.items():
            (home / "config" / name).write_text(text)

        def taken() -> Taken:
            found = (path.read_bytes() for path in (home / "mail").glob("*.eml"))
            return [
                (who.decode(), text) for who, _, text in (one.partition(b"\r\n") for one in found)
            ]

        command = ["node", HARAKA / "node_modules/Haraka/bin/haraka", "-c", home]
        with running(command, home, port):
            yield RealServer(port, taken)


# OpenSMTPD.

_OPENSMTPD = """
table no file:{home}/no
listen on 127.0.0.1 port {port} hostname mx.example
action "on" relay host smtp://127.0.0.1:{relay}
match from any for rcpt-to <no> reject
match from any for any action "on"
"""


@contextlib.contextmanager
def opensmtpd() -> Iterator[RealServer]:
    """OpenSMTPD, which drops clients that pipeline; its spool is the system's. Only root can start it."""
    program, port = shutil.which("smtpd", path=PLACES), free_port()
    assert program is not None
    with folder("opensmtpd") as home, keeper() as relay:
        (home / "no").write_text("@nowhere.example.org\n")
        conf = home / "conf"
        conf.write_text(_OPENSMTPD.format(home=home, port=port, relay=relay.port))
        conf.chmod(0o600)
        with running([program, "-d", "-f", conf], home, port):
            yield RealServer(port, kept_by(relay))
