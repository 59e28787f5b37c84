"""Against real servers of other makes: outcomes as they counted, nobody twice, bodies octet for octet."""

import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from secrets import token_hex

import pytest

from mailer.smtp import Action, Driver, Fate, Security, Submission, Timeouts
from tests.conftest import PLACES
from tests.servers import real
from tests.servers.sendmail import can_start, sendmail

COUNT = int(os.environ.get("MAILER_REAL_MESSAGES", "200"))
"""How many messages each server gets; a whole trial is `MAILER_REAL_MESSAGES=1000`."""
SEED = 4711

IS_ROOT = os.geteuid() == 0


def _there_is(program: str) -> bool:
    return shutil.which(program, path=PLACES) is not None


SERVERS = [
    pytest.param(
        real.exim,
        {"chunking": True},
        id="exim-chunking",
        marks=[
            pytest.mark.exim,
            pytest.mark.skipif(not IS_ROOT, reason="Exim is started by root only"),
        ],
    ),
    pytest.param(
        real.exim,
        {},
        id="exim-pipelining",
        marks=[
            pytest.mark.exim,
            pytest.mark.skipif(not IS_ROOT, reason="Exim is started by root only"),
        ],
    ),
    pytest.param(
        real.dovecot,
        {"username": "ada", "password": lambda: "any"},
        id="dovecot",
        marks=pytest.mark.skipif(
            not (IS_ROOT and _there_is("dovecot")), reason="Dovecot, started by root"
        ),
    ),
    pytest.param(
        real.haraka,
        {},
        id="haraka",
        marks=pytest.mark.skipif(
            not (_there_is("node") and (real.HARAKA / "node_modules/Haraka").is_dir()),
            reason="Haraka is not installed: see .ci/run",
        ),
    ),
    pytest.param(
        real.opensmtpd,
        {},
        id="opensmtpd",
        marks=pytest.mark.skipif(
            not (IS_ROOT and _there_is("smtpd")), reason="OpenSMTPD, started by root"
        ),
    ),
    pytest.param(
        sendmail,
        {},
        id="sendmail",
        marks=pytest.mark.skipif(not can_start(), reason="sendmail, started by root"),
    ),
]


def _contents(count: int, random_: random.Random) -> Iterator[bytes]:
    """Message bodies of many shapes: dots, empty lines, the longest lines, 8 bits, large ones."""
    shapes = [
        lambda: b"hello\r\n",
        lambda: b".\r\n..\r\n.dot at the start\r\n",
        lambda: b"\r\n\r\n\r\n",
        lambda: b"x" * 998 + b"\r\n",
        lambda: b"From here\r\n" * 3,
        lambda: b"".join(b"%d\r\n" % random_.random().__hash__() for _ in range(200)),
        lambda: (b"a line of text that is as long as most\r\n") * random_.randrange(1, 4000),
        lambda: b"ends without a line end",
    ]
    for number in range(count):
        yield shapes[number % len(shapes)]()


def _mailbox(number: int, mark: str) -> str:
    """Every fifth does not exist: by its local part, and for OpenSMTPD by its domain."""
    return f"no{number}@nowhere.example.org" if number % 5 == 4 else f"u{number}.{mark}@example.org"


def _submissions(count: int, mark: str) -> list[Submission]:
    random_ = random.Random(SEED)
    return [
        Submission(
            "news@shop.example",
            _mailbox(number, mark),
            b"From: news@shop.example\r\nSubject: x\r\nX-Number: %d\r\n\r\n%b" % (number, body),
        )
        for number, body in enumerate(_contents(count, random_))
    ]


def _body(message: bytes) -> bytes:
    """The body with the line ends of the wire, for servers that file mail with those of the system."""
    text = message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return text.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")


@pytest.mark.parametrize(("start", "changes"), SERVERS)
def test_outcomes_are_what_the_server_counted(start, changes, settings, gate, journal):
    # OpenSMTPD takes its time to pass on what it has queued.
    count = COUNT // 4 if start is real.opensmtpd else COUNT
    with start() as server:
        mark = token_hex(4)
        submissions = _submissions(count, mark)
        driver = Driver(
            settings(server.port, max_connections=4, timeouts=Timeouts(), **changes), gate
        )
        results = driver.send(submissions, journal)
        driver.close()
        expected = {
            one.forward_path: one.content
            for one in submissions
            if not one.forward_path.startswith("no")
        }
        fates = Counter((result.fate, result.action) for result in results)
        assert fates == {
            (Fate.ACCEPTED, Action.OK): len(expected),
            (Fate.REFUSED, Action.FAIL_RECIPIENT): count - len(expected),
        }, [r for r in results if r.fate is not Fate.ACCEPTED][:3]
        taken = server.taken_when(len(expected), mark)
        assert Counter(who for who, _ in taken) == Counter(expected.keys())
        wrong = [who for who, message in taken if _body(message) != _body(expected[who])]
        assert not wrong
        assert gate.admitted == gate.gone


@pytest.mark.exim
@pytest.mark.skipif(not IS_ROOT, reason="Exim is started by root only")
@pytest.mark.parametrize(
    ("certificate", "fate"),
    [
        ("shop.example", Fate.ACCEPTED),
        ("rival.example", Fate.UNSENT),
        (None, Fate.UNSENT),
    ],
)
def test_a_server_knows_an_account_by_its_certificate(
    settings, gate, journal, authority, ca_file, tmp_path, certificate, fate
):
    client_cert = None
    if certificate is not None:
        client_cert = tmp_path / "client.pem"
        issued = authority.issue_cert(certificate)
        issued.private_key_and_cert_chain_pem.write_to_path(client_cert)
    with real.exim(authority=authority) as server:
        account = settings(
            server.port,
            security=Security.STARTTLS,
            ca_file=ca_file,
            client_cert=client_cert,
            username="shop",
            mechanism="EXTERNAL",
        )
        driver = Driver(account, gate)
        results = driver.send(_submissions(4, "cert"), journal)
        driver.close()
        assert {result.fate for result in results} == {fate}
        assert len(server.taken()) == (4 if fate is Fate.ACCEPTED else 0)
