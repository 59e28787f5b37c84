"""A sendmail of the test's own, which keeps what it takes in its queue."""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.conftest import free_port
from tests.servers.real import RealServer, Taken, folder, running

PROGRAM = Path("/usr/libexec/sendmail/sendmail")
"""Where Debian's sendmail-bin has it, and where `.ci/run` lays it beside Postfix."""

# Rules are what makes sendmail: 3 finds the domain in an address, 4 takes the marks away, 0 says who
# delivers. Behind the tabs stands what an address becomes, after "$:" once and not as long as it fits.
_CONFIGURATION = """
V10/Berkeley
Djmx.example
DnMAILER-DAEMON
O DaemonPortOptions=Address=127.0.0.1, Port={port}, Family=inet, Name=MTA
O QueueDirectory={home}/queue
O PidFile={home}/pid
O RunAsUser=nobody:nogroup
O DeliveryMode=queue
O MaxMessageSize=20971520
O EightBitMode=pass8
O SmtpGreetingMessage=$j sendmail
O DontProbeInterfaces=true
O QueueLA=0
O RefuseLA=0
O OperatorChars=.:%@!^/[]+
Kno regex -aNO ^no
Mlocal, P=[IPC], F=lmDFMuXP8, S=4, R=4, E=\\r\\n, L=0, T=DNS/RFC822/SMTP, A=TCP $h
Mprog, P=/bin/false, F=lsDFMo, S=4, R=4, A=false
Mrelay, P=[IPC], F=mDFMuX8, S=4, R=4, E=\\r\\n, L=0, T=DNS/RFC822/SMTP, A=TCP $h
S3
R$* < $+ > $*\t$: $2
R$+ @ $+\t$: $1 < @ $2 >
S4
R$* < @ $+ >\t$: $1 @ $2
S0
R$+ < @ $+ >\t$#relay $@ [127.0.0.1] $: $1 < @ $2 >
Scheck_rcpt
R< $+ @ $+ >\t$: $(no $1 $)
RNO\t$#error $@ 5.1.1 $: "550 no such user"
""".lstrip()

_NAMED = 'hostname mx.example && exec "$0" "$@"'


@cache
def can_start() -> bool:
    """Whether it is there and would start at once: on a host without a domain it first waits a minute."""
    return os.geteuid() == 0 and PROGRAM.is_file() and (_has_a_domain() or _may_be_named())


def _has_a_domain() -> bool:
    return "." in socket.getfqdn(socket.gethostname())


def _may_be_named() -> bool:
    """Whether a process of ours may have a host name of its own."""
    return (
        shutil.which("unshare") is not None
        and subprocess.run(
            ["unshare", "--uts", "sh", "-c", _NAMED, "true"], capture_output=True, check=False
        ).returncode
        == 0
    )


@contextlib.contextmanager
def sendmail() -> Iterator[RealServer]:
    """A sendmail that delivers nothing; only root can start one."""
    port = free_port()
    with folder("sendmail") as home:
        queue = home / "queue"
        queue.mkdir(mode=0o700)
        shutil.chown(queue, "nobody", "nogroup")
        (home / "conf").write_text(_CONFIGURATION.format(home=home, port=port))
        command: list[str | Path] = [PROGRAM, "-C", home / "conf", "-bD"]
        if not _has_a_domain():
            command = ["unshare", "--uts", "sh", "-c", _NAMED, *command]

        def taken() -> Taken:
            return [_filed(path) for path in queue.glob("qf*")]

        with running(command, home, port):
            yield RealServer(port, taken)


def _filed(control: Path) -> tuple[str, bytes]:
    """Recipient and body of one message: a control file, and beside it one with the body."""
    lines = control.read_text("utf-8", "replace").splitlines()
    recipient = next(line for line in lines if line.startswith("R")).partition(":<")[2]
    body = control.with_name(control.name.replace("qf", "df", 1)).read_bytes()
    return recipient.rstrip(">"), b"\r\n\r\n" + body
