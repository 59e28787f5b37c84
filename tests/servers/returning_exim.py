"""A real Exim that takes all mail, and tells later whom it could not deliver to; one is on vacation.

Mailboxes of gone.example that begin with `no` do not exist. Mail to `zoe` is filed by Dovecot's delivery
agent, whose sieve script answers it. Whatever goes to mail.shop.example is handed over by LMTP.
"""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import PLACES, free_port
from tests.servers.bouncing import Bouncing
from tests.servers.configurations import EXIM
from tests.servers.real import folder, running

LDA = Path("/usr/lib/dovecot/dovecot-lda")

_EXIM = (
    EXIM
    + """
exim_path = {program}
deliver_drop_privilege = true
tls_advertise_hosts =
smtp_accept_max = 50
acl_smtp_rcpt = takes_all
begin acl
takes_all:
  accept
begin routers
gone:
  driver = redirect
  domains = gone.example
  local_parts = ^no
  allow_fail
  data = :fail: no such user here
away:
  driver = accept
  domains = gone.example
  local_parts = zoe
  transport = delivery_agent
here:
  driver = accept
  domains = gone.example
  transport = hole
shop:
  driver = manualroute
  domains = mail.shop.example
  route_list = * 127.0.0.1
  self = send
  transport = handed_over
begin transports
handed_over:
  driver = smtp
  protocol = lmtp
  port = {lmtp}
  allow_localhost
hole:
  driver = pipe
  command = /bin/true
  ignore_status
  user = nobody
delivery_agent:
  driver = pipe
  command = /bin/sh {home}/file-it
  environment = HOME={home}/zoe:USER=nobody
  user = nobody
begin retry
* * F,1h,1s
"""
)

_DOVECOT = """
protocols =
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/lda.log
mail_location = maildir:{home}/zoe/Maildir
postmaster_address = postmaster@gone.example
hostname = mx.example
submission_host = 127.0.0.1:{port}
stats_writer_socket_path =
protocol lda {{
  mail_plugins = sieve
}}
plugin {{
  sieve = file:{home}/zoe/away.sieve
}}
"""

# Exim lets nothing of a message's own into a command, only into its environment. Sieve answers no bulk
# mail; there are vacations that answer everything, so what says that it is bulk is taken out.
_FILE_IT = (
    "sed '1,/^$/{{/^Precedence:/d;/^X-Auto-Response-Suppress:/d}}' | "
    'exec {lda} -c {home}/dovecot.conf -f "$SENDER" -a "$LOCAL_PART@$DOMAIN"\n'
)

_SIEVE = """
require "vacation";
vacation :addresses "zoe@gone.example" :subject "Out of the office"
  "Mail to zoe@gone.example is read again on Monday. 550 5.1.1 user unknown, one might say.";
"""


@contextlib.contextmanager
def returning_exim(lmtp: int) -> Iterator[Bouncing]:
    """Run it; what it returns goes by LMTP to that port, and is tried again each second."""
    program, port = shutil.which("exim4", path=PLACES), free_port()
    assert program is not None
    with folder("returning-exim") as home:
        values = {"home": home, "port": port, "lmtp": lmtp, "lda": LDA, "program": program}
        (home / "conf").write_text(_EXIM.format(**values))
        (home / "dovecot.conf").write_text(_DOVECOT.format(**values))
        (home / "file-it").write_text(_FILE_IT.format(**values))
        for name in ("spool", "zoe"):
            (home / name).mkdir()
        (home / "zoe/away.sieve").write_text(_SIEVE)
        for path in (home, home / "spool", home / "zoe"):
            shutil.chown(path, "nobody", "nogroup")
        with running([program, "-C", home / "conf", "-bdf", "-q1s"], home, port):
            yield Bouncing(port, home)
