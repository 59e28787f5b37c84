"""Against a real Exim without PIPELINING that hangs up after three messages a connection."""

import os
import shutil

import pytest

from mailer.smtp import Action, Driver, Fate, Submission, Timeouts
from tests.conftest import free_port
from tests.servers import configurations
from tests.servers.real import folder, running

EXIM = shutil.which("exim4", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin"))) or ""
"""Not asked for by the marker: Debian's exim4 and postfix exclude each other."""

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="Exim is started by root only"),
    pytest.mark.skipif(not EXIM, reason="exim4 is not installed; Debian's excludes its postfix"),
]

CONFIGURATION = (
    configurations.EXIM
    + """
tls_advertise_hosts =
pipelining_advertise_hosts =
chunking_advertise_hosts =
smtp_accept_max_per_connection = 3
smtp_accept_max = 30
queue_only = true
acl_smtp_rcpt = recipients
acl_smtp_data = accept
begin acl
recipients:
  deny local_parts = no
       message = Unrouteable address
  defer local_parts = later
       message = Greylisted, come back later
  accept
begin routers
all:
  driver = accept
  transport = drop
begin transports
drop:
  driver = appendfile
  file = /dev/null
  user = nobody
"""
)


@pytest.fixture(scope="module")
def exim_port():
    port = free_port()
    with folder("exim") as home:
        (home / "spool").mkdir()
        for path in (home, home / "spool"):
            shutil.chown(path, "nobody")
        (home / "conf").write_text(CONFIGURATION.format(home=home, port=port))
        with running([EXIM, "-C", home / "conf", "-bdf"], home, port):
            yield port


def test_step_by_step_over_connections_that_take_three_messages_each(
    exim_port, settings, gate, journal
):
    names = ["no" if n == 4 else "later" if n == 8 else f"u{n}" for n in range(20)]
    driver = Driver(settings(exim_port, max_connections=2, timeouts=Timeouts()), gate)
    results = driver.send(
        [
            Submission("news@shop.example", f"{name}@example.org", b"Subject: x\r\n\r\nhi\r\n")
            for name in names
        ],
        journal,
    )
    driver.close()
    assert [result.action for result in results] == [
        Action.FAIL_RECIPIENT
        if name == "no"
        else Action.RETRY_LATER
        if name == "later"
        else Action.OK
        for name in names
    ]
    assert sum(result.fate is Fate.ACCEPTED for result in results) == 18
    assert gate.admitted == gate.gone > 5
