"""`try_account`: what a person is told of an account that does not work, and how soon."""

import ssl

import pytest

from mailer.smtp import Action, Security, Stage, Timeouts
from mailer.smtp.check import try_account
from mailer.smtp.connection import tls
from tests.servers.common_name import named_in_common_name
from tests.servers.scripted import Act, ScriptedServer

GREETING = "X: tls\nS: 220 mx.example ready\nC: EHLO client.example\nS: 250 mx.example\n"


@pytest.fixture
def tls_only(authority):
    """A server that shakes TLS hands at once and says nothing before; gives its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with ScriptedServer(context=context, tls_first=True) as server:
        server.answer("CONNECT", Act.SILENCE)
        yield server.port


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.PLAIN])
def test_a_port_that_speaks_tls_at_once_is_named_after_seconds(
    settings, tls_only, monkeypatch, security
):
    monkeypatch.setattr(tls, "SILENCE", 0.3)
    found = try_account(settings(tls_only, security=security))
    assert found.judgement.action is Action.RETRY_LATER
    assert "smtps://" in found.reason
    assert found.seconds < 5


def test_a_server_that_is_only_slow_is_waited_for(playing, settings, monkeypatch):
    monkeypatch.setattr(tls, "SILENCE", 0.2)
    server = playing(
        "X: silence",
        "X: silence",
        "S: 220 mx.example\nC: EHLO client.example\nS: 250 ok\nC: QUIT\nS: 221 bye",
    )
    assert try_account(settings(server.port)).judgement is None


def test_what_the_certificate_is_for_is_told(playing, settings, ca_file):
    server = playing(GREETING + "C: QUIT\nS: 221 bye")
    found = try_account(settings(server.port, security=Security.TLS, ca_file=ca_file))
    assert found.judgement is None
    assert found.certificate == ("127.0.0.1",)
    assert found.encryption.startswith("TLSv1.")


def test_a_name_in_the_common_name_alone_does_not_count_and_the_reason_is_named(settings, tmp_path):
    with named_in_common_name(tmp_path) as (port, ca_file):
        server = settings(port, security=Security.TLS, ca_file=ca_file, tls_name="localhost")
        found = try_account(server)
    assert found.judgement is not None
    assert "RFC 9525" in found.reason


@pytest.mark.parametrize(
    ("port", "security", "seconds"),
    [
        (465, Security.STARTTLS, tls.SILENCE),
        (465, Security.PLAIN, tls.SILENCE),
        (587, Security.STARTTLS, 300.0),
        (465, Security.TLS, 300.0),
    ],
)
def test_a_worker_waits_seconds_for_a_greeting_where_tls_comes_first(
    settings, port, security, seconds
):
    server = settings(port, security=security, timeouts=Timeouts())
    assert tls.patience(server, Stage.CONNECT) == seconds
    assert tls.patience(server, Stage.EHLO) == 300.0
    if seconds == tls.SILENCE:
        assert "smtps://" in tls.other_scheme(server, Stage.CONNECT)
