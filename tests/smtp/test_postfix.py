"""Against a real Postfix with STARTTLS, SASL, PIPELINING and CHUNKING, started by the tests."""

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailer.smtp import Action, Driver, Fate, Security, Submission, Timeouts, try_account
from tests.conftest import free_port
from tests.servers.bouncing import running
from tests.servers.configurations import POSTFIX, POSTFIX_SERVICES
from tests.servers.waiting import eventually

pytestmark = [
    pytest.mark.postfix,
    pytest.mark.skipif(os.geteuid() != 0, reason="Postfix is started by root only"),
    pytest.mark.skipif(
        not (shutil.which("postfix") and shutil.which("saslpasswd2")),
        reason="Debian's postfix and sasl2-bin are not installed",
    ),
]

MAIN = (
    POSTFIX
    + """
default_transport = discard
relay_transport = discard
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_tls_chain_files = {home}/tls.pem
smtpd_tls_loglevel = 2
smtpd_tls_session_cache_database = btree:{home}/data/sessions
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = cyrus
smtpd_sasl_local_domain = mx.example
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access texthash:{home}/access
smtpd_data_restrictions = reject_unauth_pipelining
message_size_limit = 100000
smtputf8_enable = yes
"""
)
MASTER = (
    POSTFIX_SERVICES
    + """
{port} inet n - n - - smtpd
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
scache unix - - n - 1 scache
discard unix - - n - - discard
retry unix - - n - - error
"""
)
ACCESS = """
no@example.org 550 5.1.1 no such user
later@example.org 450 4.7.1 greylisted
"""
SASL = """
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {home}/sasldb2
mech_list: PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256
"""
CONTENT = b"From: news@shop.example\r\nSubject: hello\r\n\r\n.hello\r\n"


@dataclass(frozen=True)
class Postfix:
    port: int
    home: Path
    ca_file: Path

    def logged(self, pattern: str) -> list[str]:
        return re.findall(pattern, (self.home / "log").read_text())


@pytest.fixture(scope="module")
def postfix(authority, tmp_path_factory):
    port = free_port()
    home = Path(tempfile.mkdtemp(prefix="mailer-postfix-"))
    home.chmod(0o755)
    for name in ("spool", "data", "config", "config/sasl"):
        (home / name).mkdir(mode=0o755)
    shutil.chown(home / "data", "postfix")
    ca_file = home / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(home / "tls.pem")
    (home / "access").write_text(ACCESS)
    (home / "config/main.cf").write_text(MAIN.format(home=home))
    (home / "config/master.cf").write_text(MASTER.format(port=f"127.0.0.1:{port}"))
    (home / "config/sasl/smtpd.conf").write_text(SASL.format(home=home))
    subprocess.run(
        ["saslpasswd2", "-p", "-c", "-f", home / "sasldb2", "-u", "mx.example", "shop"],
        input=b"secret", check=True, capture_output=True,
    )  # fmt: skip
    shutil.chown(home / "sasldb2", "postfix")
    with running(home, port):
        yield Postfix(port, home, ca_file)


@pytest.fixture
def account(postfix, settings):
    def make(**changes):
        base = {
            "security": Security.STARTTLS,
            "ca_file": postfix.ca_file,
            "username": "shop@mx.example",
            "password": lambda: "secret",
            "timeouts": Timeouts(),
            "max_connections": 3,
        }
        return settings(postfix.port, **(base | changes))

    return make


def submissions(*names: str) -> list[Submission]:
    return [Submission("news@shop.example", f"{name}@example.org", CONTENT) for name in names]


@pytest.mark.parametrize("chunking", [False, True], ids=["pipelined", "chunked"])
def test_good_and_bad_recipients_side_by_side(postfix, account, gate, journal, chunking):
    driver = Driver(account(chunking=chunking), gate)
    names = ["no" if n % 7 == 3 else "later" if n % 11 == 5 else f"u{n}" for n in range(120)]
    results = driver.send(submissions(*names), journal)
    driver.close()
    for name, result in zip(names, results, strict=True):
        if name == "no":
            assert (result.fate, result.action) == (Fate.REFUSED, Action.FAIL_RECIPIENT)
        elif name == "later":
            assert (result.fate, result.action) == (Fate.REFUSED, Action.RETRY_LATER)
        else:
            assert result.fate is Fate.ACCEPTED
            assert "queued as" in result.reply.text
    assert gate.logins == gate.admitted == gate.gone


def test_tls_sessions_are_taken_up_again(postfix, account, gate, journal):
    driver = Driver(account(max_connections=1, max_messages_per_connection=2), gate)
    before = len(postfix.logged("Reusing old session"))
    results = driver.send(submissions(*"abcdef"), journal)
    driver.close()
    assert {result.fate for result in results} == {Fate.ACCEPTED}
    eventually(lambda: len(postfix.logged("Reusing old session")) == before + 2)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
def test_every_mechanism_logs_in(account, gate, journal, mechanism):
    driver = Driver(account(mechanism=mechanism), gate)
    (result,) = driver.send(submissions("ada"), journal)
    driver.close()
    assert result.fate is Fate.ACCEPTED


def test_a_wrong_password_is_tried_once(postfix, account, gate, journal):
    before = len(postfix.logged("authentication failed"))
    driver = Driver(account(password=lambda: "wrong"), gate)
    results = driver.send(submissions(*"abcdefghijklmnop"), journal)
    driver.close()
    assert {(result.fate, result.action) for result in results} == {(Fate.UNSENT, Action.AUTH_FAIL)}
    eventually(lambda: len(postfix.logged("authentication failed")) > before)
    assert len(postfix.logged("authentication failed")) == before + 1


def test_who_does_not_log_in_may_not_relay(account, gate, journal):
    driver = Driver(account(username=None, password=None), gate)
    first, second = driver.send(submissions("ada", "bob"), journal)
    driver.close()
    assert (first.fate, first.action) == (Fate.REFUSED, Action.ACCOUNT_CONFIG)
    assert (second.fate, second.action) == (Fate.UNSENT, Action.ACCOUNT_CONFIG)


def test_international_addresses_and_a_message_too_big(account, gate, journal):
    driver = Driver(account(), gate)
    results = driver.send(
        [
            Submission("news@shop.example", "jürgen@bücher.example", CONTENT),
            Submission("news@shop.example", "ada@example.org", (b"x" * 70 + b"\r\n") * 2000),
        ],
        journal,
    )
    driver.close()
    assert [result.fate for result in results] == [Fate.ACCEPTED, Fate.REFUSED]
    assert results[1].action is Action.FAIL_MESSAGE


def test_a_trial_says_what_the_server_offers_and_sends_nothing(account):
    found = try_account(account())
    assert found.judgement is None
    assert found.encryption.startswith("TLSv1.")
    assert found.certificate == ("127.0.0.1",)
    assert found.expires.endswith("GMT")
    assert {"PIPELINING", "CHUNKING", "8BITMIME", "SMTPUTF8"} <= found.offered.keywords
    assert found.mechanism == "SCRAM-SHA-256"
    assert found.offered.size == 100_000


def test_a_trial_says_in_one_line_what_is_wrong(account):
    wrong = try_account(account(password=lambda: "wrong", mechanism="PLAIN"))
    assert wrong.judgement.action is Action.AUTH_FAIL
    assert re.fullmatch(r"AUTH: 535 5\.7\.8 .*", wrong.reason)
    untrusted = try_account(account(ca_file=None))
    assert untrusted.judgement.action is Action.ACCOUNT_CONFIG
    assert "certificate" in untrusted.reason
