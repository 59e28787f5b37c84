"""How a session begins: TLS without a way around it, one login, and who is told what goes wrong."""

import base64
import hashlib
import hmac
import logging
import re
import threading
import urllib.parse

import pytest
import trustme

from mailer.errors import (
    AuthenticationFailedError,
    ConfigError,
    SecretUnavailableError,
    TokenRefusedError,
    TokenUnavailableError,
)
from mailer.smtp import Action, Driver, Fate, Security, Stage, Timeouts
from mailer.smtp.login import sasl
from tests.servers.scripted import ScriptedServer

ADA = """
    C: MAIL FROM:<news@shop.example>
    C: RCPT TO:<ada@example.org>
    C: DATA
    S: 250 ok
    S: 250 ok
    S: 354 go
    C: Subject: hello
    C:
    C: hello
    C: .
    S: 250 queued
    C: QUIT
    S: 221 bye
"""
STEPS = """
    C: MAIL FROM:<news@shop.example>
    S: 250 ok
    C: RCPT TO:<ada@example.org>
    S: 250 ok
    C: DATA
    S: 354 go
    C: Subject: hello
    C:
    C: hello
    C: .
    S: 250 queued
    C: QUIT
    S: 221 bye
"""
GREETING = """
    S: 220 mx.example ready
    C: EHLO client.example
"""
OFFER = """
    S: 250-mx.example
    S: 250-PIPELINING
    S: 250 AUTH {}
"""


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


PLAIN_LOGIN = f"C: AUTH PLAIN {b64(chr(0) + 'shop' + chr(0) + 'pässword')}\n"
ACCOUNT = {"username": "shop", "password": lambda: "pässword"}


@pytest.fixture
def refused(drive, mail, gate):
    """Send one message that cannot be sent; return its result, which the gate heard too."""

    def run(server, **changes):
        (result,) = drive(server, mail("ada@example.org"), **changes)
        assert result.fate is Fate.UNSENT
        ((stage, _, judged),) = gate.troubles
        assert stage is result.stage
        # What is not certain is told to the gate as it looks, and costs the message only time.
        assert result.action is (judged.action if judged.is_certain else Action.RETRY_LATER)
        assert gate.logins == 0
        return result

    return run


def test_starttls_then_ehlo_again_then_login(playing, drive, mail, ca_file, gate):
    server = playing(
        GREETING
        + """
        S: 250-mx.example
        S: 250-STARTTLS
        S: 250 AUTH NTLM
        C: STARTTLS
        S: 220 go ahead
        X: tls
        C: EHLO client.example
        """
        + OFFER.format("LOGIN PLAIN")
        + PLAIN_LOGIN
        + """
        S: 235 welcome
        """
        + ADA
    )
    (result,) = drive(
        server, mail("ada@example.org"), security=Security.STARTTLS, ca_file=ca_file, **ACCOUNT
    )
    assert result.fate is Fate.ACCEPTED
    assert gate.logins == 1


def test_tls_from_the_first_byte(playing, drive, mail, ca_file):
    server = playing(
        "X: tls" + GREETING + OFFER.format("PLAIN") + PLAIN_LOGIN + "S: 235 welcome" + ADA
    )
    (result,) = drive(
        server, mail("ada@example.org"), security=Security.TLS, ca_file=ca_file, **ACCOUNT
    )
    assert result.fate is Fate.ACCEPTED


def test_replies_injected_before_the_handshake_are_forgotten(playing, drive, mail, ca_file):
    server = playing(
        GREETING
        + """
        S: 250-mx.example
        S: 250 STARTTLS
        C: STARTTLS
        S: 220 go ahead
        S: 250-injected
        S: 250 AUTH PLAIN
        X: tls
        C: EHLO client.example
        """
        + OFFER.format("PLAIN")
        + PLAIN_LOGIN
        + "S: 235 welcome"
        + ADA
    )
    (result,) = drive(
        server, mail("ada@example.org"), security=Security.STARTTLS, ca_file=ca_file, **ACCOUNT
    )
    assert result.fate is Fate.ACCEPTED


def test_a_reply_that_came_before_its_command_is_none(playing, refused):
    server = playing("S: 220 mx.example ready\nS: 250 AUTH PLAIN\nC: EHLO client.example")
    result = refused(server, **ACCOUNT)
    assert (result.stage, result.action) == (Stage.EHLO, Action.RETRY_LATER)


def test_a_server_without_starttls_is_not_used(playing, refused):
    result = refused(
        playing(GREETING + OFFER.format("PLAIN")), security=Security.STARTTLS, **ACCOUNT
    )
    assert (result.stage, result.action) == (Stage.STARTTLS, Action.RETRY_LATER)


@pytest.mark.parametrize(
    ("reply", "action"),
    [("454 TLS not available", Action.RETRY_LATER), ("502 not implemented", Action.ACCOUNT_CONFIG)],
)
def test_a_refused_starttls_never_falls_back_to_plain_text(playing, refused, gate, reply, action):
    server = playing(
        GREETING
        + f"""
        S: 250-mx.example
        S: 250 STARTTLS
        C: STARTTLS
        S: {reply}
    """
    )
    assert refused(server, security=Security.STARTTLS, **ACCOUNT).action is Action.RETRY_LATER
    ((_, _, judged),) = gate.troubles
    assert (judged.action, judged.is_certain) == (action, False)


IMPOSTORS = {
    "greeting": "S: 554 5.7.1 your address is banned",
    "no smtp": "S: HTTP/1.1 400 Bad Request",
    "EHLO": GREETING + "S: 550 5.7.1 account suspended",
    "no STARTTLS": GREETING + "S: 250 mx.example",
    "STARTTLS": GREETING + "S: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 554 5.7.3 disabled",
}


@pytest.mark.parametrize("transcript", IMPOSTORS.values(), ids=IMPOSTORS)
def test_whatever_is_said_before_tls_is_verified_decides_nothing_for_good(
    playing, drive, mail, gate, transcript
):
    (result,) = drive(
        playing(transcript), mail("ada@example.org"), security=Security.STARTTLS, **ACCOUNT
    )
    assert (result.fate, result.action) == (Fate.UNSENT, Action.RETRY_LATER)
    ((_, _, judged),) = gate.troubles
    assert judged.action is Action.RETRY_LATER or not judged.is_certain


@pytest.mark.parametrize("security", [Security.PLAIN, Security.TLS])
def test_what_a_verified_server_says_is_certain(playing, drive, mail, gate, ca_file, security):
    greeting = "S: 554 5.7.1 your address is banned"
    server = playing(f"X: tls\n{greeting}" if security is Security.TLS else greeting)
    (result,) = drive(server, mail("ada@example.org"), security=security, ca_file=ca_file)
    assert (result.fate, result.action) == (Fate.UNSENT, Action.ACCOUNT_CONFIG)
    assert gate.troubles[0][2].is_certain


def test_a_certificate_of_nobody_we_trust_ends_it(playing, settings, mail, gate, journal):
    server = playing("X: tls")
    driver = Driver(settings(server.port, security=Security.TLS, **ACCOUNT), gate)
    (result,) = driver.send(mail("ada@example.org"), journal)
    driver.close()
    assert (result.fate, result.action) == (Fate.UNSENT, Action.RETRY_LATER)
    assert "certificate" in result.rule
    ((_, _, judged),) = gate.troubles
    assert (judged.action, judged.is_certain) == (Action.ACCOUNT_CONFIG, False)


def test_a_certificate_of_another_host_ends_it(playing, settings, mail, gate, journal, ca_file):
    server = playing("X: tls", certificate="other.example")
    driver = Driver(settings(server.port, security=Security.TLS, ca_file=ca_file), gate)
    (result,) = driver.send(mail("ada@example.org"), journal)
    driver.close()
    assert (result.fate, result.action) == (Fate.UNSENT, Action.RETRY_LATER)
    assert "IP address mismatch" in result.rule


def test_certificate_files_that_this_host_cannot_read_are_not_the_account_s_end(
    playing, refused, tmp_path
):
    server = playing(
        GREETING
        + """
        S: 250-mx.example
        S: 250 STARTTLS
        C: STARTTLS
        S: 220 go
    """
    )
    result = refused(server, security=Security.STARTTLS, ca_file=tmp_path / "none.pem")
    assert result.action is Action.RETRY_LATER
    assert "ca_file" in result.rule


def test_a_server_from_before_ehlo_is_greeted_with_helo(playing, drive, mail):
    server = playing(
        """
        S: 220 old
        C: EHLO client.example
        S: 502 command not implemented
        C: HELO client.example
        S: 250 hello
        """
        + ADA.replace("C: RCPT", "S: 250 ok\nC: RCPT")
        .replace("C: DATA\n", "S: 250 ok\nC: DATA\n")
        .replace("    S: 250 ok\n    S: 250 ok\n    S: 354", "    S: 354")
    )
    (result,) = drive(server, mail("ada@example.org"))
    assert result.fate is Fate.ACCEPTED


@pytest.mark.parametrize(
    ("greeting", "action"),
    [
        ("421 too many concurrent connections", Action.THROTTLE_ACCOUNT),
        ("421 come back later", Action.RETRY_LATER),
        ("554 no service for you", Action.ACCOUNT_CONFIG),
        ("hello", Action.RETRY_LATER),
    ],
)
def test_no_message_fails_at_the_door(playing, refused, greeting, action):
    result = refused(playing(f"S: {greeting}"))
    assert (result.stage, result.action) == (Stage.CONNECT, action)


def test_a_server_that_is_not_there_leaves_all_unsent(settings, mail, gate, journal, free_tcp_port):
    driver = Driver(settings(free_tcp_port, max_connections=5), gate)
    results = driver.send(mail(*(f"u{n}@example.org" for n in range(40))), journal)
    driver.close()
    assert len(gate.troubles) == 1
    assert {(r.fate, r.stage, r.reply, r.action) for r in results} == {
        (Fate.UNSENT, Stage.CONNECT, None, Action.RETRY_LATER)
    }
    assert gate.open == 0


def test_a_silent_server_is_left_at_the_deadline(playing, refused):
    result = refused(playing("X: silence"), timeouts=Timeouts(greeting=0.1))
    assert (result.stage, result.action) == (Stage.CONNECT, Action.RETRY_LATER)


def test_a_host_that_cannot_be_resolved_is_said_so(settings, mail, gate, journal):
    driver = Driver(settings(25, host="no-such-host.invalid"), gate)
    (result,) = driver.send(mail("ada@example.org"), journal)
    driver.close()
    assert (result.fate, result.stage) == (Fate.UNSENT, Stage.CONNECT)
    assert "no-such-host.invalid" in result.rule


# Logging in.


def test_a_wrong_password_costs_one_login_whatever_there_is_to_send(playing, drive, mail, gate):
    server = playing(GREETING + OFFER.format("LOGIN PLAIN") + PLAIN_LOGIN + "S: 535 5.7.8 no")
    results = drive(
        server, mail(*(f"u{n}@example.org" for n in range(200))), max_connections=10, **ACCOUNT
    )
    assert {(r.fate, r.stage, r.action, str(r.reply)) for r in results} == {
        (Fate.UNSENT, Stage.AUTH, Action.AUTH_FAIL, "535 5.7.8 no")
    }
    assert len(gate.troubles) == 1


def test_a_temporary_failure_of_the_login_is_none_of_the_password(playing, refused):
    server = playing(GREETING + OFFER.format("PLAIN") + PLAIN_LOGIN + "S: 454 4.7.0 not now")
    assert refused(server, **ACCOUNT).action is Action.AUTH_RETRY


def test_a_mechanism_the_server_does_not_know_after_all_gives_way_to_the_next(playing, drive, mail):
    server = playing(
        GREETING
        + OFFER.format("PLAIN LOGIN")
        + PLAIN_LOGIN
        + f"""
        S: 504 5.5.4 not that one
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: {b64("shop")}
        S: 334 UGFzc3dvcmQ6
        C: {b64("pässword")}
        S: 235 ok
        """
        + ADA
    )
    (result,) = drive(server, mail("ada@example.org"), security=Security.PLAIN, **ACCOUNT)
    assert result.fate is Fate.ACCEPTED


def test_cram_md5_answers_the_challenge(playing, drive, mail):
    # The example of RFC 2195 section 2.
    server = playing(
        GREETING
        + OFFER.format("CRAM-MD5 PLAIN")
        + f"""
        C: AUTH CRAM-MD5
        S: 334 {b64("<1896.697170952@postoffice.reston.mci.net>")}
        C: {b64("tim b913a602c7eda7a495b4e6e7334d3890")}
        S: 235 ok
        """
        + ADA
    )
    account = {"username": "tim", "password": lambda: "tanstaaftanstaaf"}
    (result,) = drive(server, mail("ada@example.org"), **account)
    assert result.fate is Fate.ACCEPTED


def test_a_server_that_cannot_prove_itself_is_told_to_stop(playing, refused, monkeypatch):
    monkeypatch.setattr(sasl.secrets, "token_urlsafe", lambda _size: "abc")
    server = playing(
        GREETING
        + OFFER.format("SCRAM-SHA-256")
        + f"""
        C: AUTH SCRAM-SHA-256 {b64("n,,n=shop,r=abc")}
        S: 334 {b64("r=xyz,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")}
        C: *
        S: 501 5.7.0 cancelled
        """
    )
    result = refused(server, **ACCOUNT)
    assert result.action is Action.AUTH_FAIL
    assert "did not answer to our nonce" in result.rule, "why, and not what was said to our *"


def test_a_thousand_mechanisms_that_nobody_knows_are_not_all_repeated(playing, refused):
    offer = "\n".join(
        f"    S: 250-AUTH {' '.join(f'X{n}-{m}' for m in range(50))}" for n in range(99)
    )
    result = refused(playing(f"{GREETING}    S: 250-mx\n{offer}\n    S: 250 HELP"), **ACCOUNT)
    assert result.action is Action.ACCOUNT_CONFIG
    assert "offers X0-0" in result.rule
    assert len(result.rule) < 300


SALT = b64("salt")


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (f"r=abcd,s={SALT},i=0", "0 iterations"),
        (f"r=abcd,s={SALT},i=1", "1 iterations"),
        (f"r=abcd,s={SALT},i=4095", "4095 iterations"),
        (f"r=abcd,s={SALT},i=1000000000", "1000000000 iterations"),
        (f"r=abcd,s={SALT},i={'9' * 5000}", "malformed"),
        (f"r=abcd,s={SALT},i=", "malformed"),
        ("r=abcd,s=***,i=4096", "malformed"),
        ("r=abcd,i=4096", "malformed"),
        (f"s={SALT},i=4096", "nonce"),
        (f"r=abc,s={SALT},i=4096", "nonce"),
        (f"r=xabc,s={SALT},i=4096", "nonce"),
        (f"m=x,r=abcd,s={SALT},i=4096", "an extension"),
        ("e=unknown-user", "the server says unknown-user"),
        ("e=\x1b[31mpencil", "malformed"),
        ("", "malformed"),
    ],
)
def test_scram_goes_no_further_than_the_first_message_where_it_is_wrong(monkeypatch, said, fault):
    monkeypatch.setattr(sasl.secrets, "token_urlsafe", lambda _size: "abc")
    conversation = sasl.scram_sha_256(sasl.Credentials("user", "pencil"))
    next(conversation)
    with pytest.raises(AuthenticationFailedError, match=re.escape(fault)):
        conversation.send(said.encode())


@pytest.mark.parametrize("said", ["", "v=", "v=bm9wZQ==", "v=ü", "e=invalid-proof", "x"])
def test_scram_takes_nothing_else_for_the_proof(said):
    conversation = sasl.scram_sha_256(sasl.Credentials("user", "pencil"))
    nonce = next(conversation).rpartition(b"r=")[2].decode()
    conversation.send(f"r={nonce}d,s={SALT},i=4096".encode())
    with pytest.raises(AuthenticationFailedError, match=r"did not prove|invalid-proof"):
        conversation.send(said.encode())


def test_an_initial_response_too_long_for_the_command_waits_for_a_challenge(playing, drive, mail):
    password = "x" * 500
    server = playing(
        GREETING
        + OFFER.format("PLAIN")
        + f"""
        C: AUTH PLAIN
        S: 334
        C: {b64(chr(0) + "shop" + chr(0) + password)}
        S: 235 ok
        """
        + ADA
    )
    (result,) = drive(server, mail("ada@example.org"), username="shop", password=lambda: password)
    assert result.fate is Fate.ACCEPTED


XOAUTH2 = "C: AUTH XOAUTH2 {}\n"


def xoauth2(token: str) -> str:
    return b64(f"user=shop\x01auth=Bearer {token}\x01\x01")


def test_a_refused_token_is_refreshed_once_and_tried_on_a_new_connection(
    playing, drive, mail, gate
):
    asked = []

    def token(refused: bool) -> str:  # noqa: FBT001 - as it is called
        asked.append(refused)
        return "new" if refused else "old"

    server = playing(
        GREETING
        + OFFER.format("XOAUTH2 PLAIN")
        + f"""
        C: AUTH XOAUTH2 {xoauth2("old")}
        S: 334 {b64('{"status":"401","schemes":"Bearer"}')}
        C:
        S: 535 5.7.8 no
        """,
        GREETING
        + OFFER.format("XOAUTH2 PLAIN")
        + f"""
        C: AUTH XOAUTH2 {xoauth2("new")}
        S: 235 ok
        """
        + ADA,
    )
    (result,) = drive(server, mail("ada@example.org"), username="shop", token=token)
    assert result.fate is Fate.ACCEPTED
    assert asked == [False, True]
    assert gate.troubles == []


def test_a_refreshed_token_that_is_refused_too_ends_it(playing, refused):
    once = (
        GREETING
        + OFFER.format("OAUTHBEARER")
        + """
        C: AUTH OAUTHBEARER {}
        S: 334 {}
        C: AQ==
        S: 535 5.7.8 no
    """
    )
    server = playing(once, once)
    line = b64(f"n,a=shop,\x01host=127.0.0.1\x01port={server.port}\x01auth=Bearer t\x01\x01")
    server._transcripts = [once.format(line, b64('{"status":"invalid_token"}'))] * 2
    assert refused(server, username="shop", token=lambda _refused: "t").action is Action.AUTH_FAIL


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (TokenRefusedError("invalid_grant"), Action.AUTH_FAIL),
        (ConfigError("no such file"), Action.ACCOUNT_CONFIG),
        (TimeoutError("secret in a message"), Action.AUTH_RETRY),
    ],
)
def test_a_secret_that_cannot_be_had_is_judged_by_its_reason(playing, refused, error, action):
    def password() -> str:
        raise error

    result = refused(playing(GREETING + OFFER.format("PLAIN")), username="shop", password=password)
    assert (result.stage, result.action) == (Stage.AUTH, action)
    assert "secret in a message" not in result.rule


def test_a_token_that_cannot_be_had_now_says_why(playing, refused):
    def token(_refused):
        raise TokenUnavailableError("token command ended with 1")

    result = refused(playing(GREETING + OFFER.format("XOAUTH2")), username="shop", token=token)
    assert result.action is Action.AUTH_RETRY
    assert "token command ended with 1" in result.rule


def test_a_server_without_a_login_that_we_know_is_the_account_s_fault(playing, refused):
    server = playing(GREETING + OFFER.format("NTLM GSSAPI"))
    assert refused(server, **ACCOUNT).action is Action.ACCOUNT_CONFIG


def test_each_connection_logs_in_once(playing, drive, mail, gate):
    def one(letter: str) -> str:
        said = GREETING + OFFER.format("PLAIN") + PLAIN_LOGIN + "S: 235 ok" + ADA
        return said.replace("ada", letter)

    server = playing(one("ada"), one("bob"))
    driver_changes = {"max_messages_per_connection": 1, **ACCOUNT}
    results = drive(server, mail("ada@example.org", "bob@example.org"), **driver_changes)
    assert [r.fate for r in results] == [Fate.ACCEPTED] * 2
    assert (gate.logins, gate.admitted, gate.gone) == (2, 2, 2)


def test_a_forgotten_login_is_made_again_once(playing, drive, mail, gate):
    login = GREETING + OFFER.format("PLAIN") + PLAIN_LOGIN + "S: 235 ok"
    forgotten = """
        C: MAIL FROM:<news@shop.example>
        C: RCPT TO:<ada@example.org>
        C: DATA
        S: 530 5.7.0 Authentication required
    """
    server = playing(login + forgotten, login + ADA)
    (result,) = drive(server, mail("ada@example.org"), **ACCOUNT)
    assert result.fate is Fate.ACCEPTED
    assert gate.logins == 2
    assert gate.troubles == []


def test_a_login_forgotten_twice_stops_the_account(playing, drive, mail, gate):
    login = GREETING + OFFER.format("PLAIN") + PLAIN_LOGIN + "S: 235 ok"
    forgotten = """
        C: MAIL FROM:<news@shop.example>
        C: RCPT TO:<ada@example.org>
        C: DATA
        S: 530 5.7.0 Authentication required
    """
    server = playing(login + forgotten, login + forgotten)
    (result,) = drive(server, mail("ada@example.org"), **ACCOUNT)
    assert (result.fate, result.action) == (Fate.REFUSED, Action.AUTH_FAIL)
    assert [judged.action for _, _, judged in gate.troubles] == [Action.AUTH_FAIL]


def test_the_debug_log_shows_the_dialogue_without_secrets(playing, drive, mail, caplog):
    caplog.set_level(logging.DEBUG, logger="mailer.smtp")
    server = playing(GREETING + OFFER.format("PLAIN") + PLAIN_LOGIN + "S: 235 ok" + ADA)
    drive(server, mail("ada@example.org"), debug=True, **ACCOUNT)
    assert "primary#1 C: AUTH PLAIN <credentials>" in caplog.messages
    assert "primary#1 C: RCPT TO:<ada@example.org>" in caplog.messages
    assert not any("pässword" in line or b64("shop")[:6] in line for line in caplog.messages)
    assert not any("hello" in line.lower() and "EHLO" not in line for line in caplog.messages)


def test_settings_never_show_a_secret(settings):
    shown = repr(settings(25, token=lambda _refused: "t", **ACCOUNT))
    assert "shop" not in shown
    assert "password" not in shown


# What a login gives away, and what it believes.


def shouts(collar):
    """A mechanism of a test's own: it shows what it was given, loudly."""
    yield f"{collar.username}:{collar.secret}".upper().encode()


@pytest.mark.parametrize("security", [Security.PLAIN, Security.TLS])
def test_a_mechanism_that_is_added_alone_works(
    playing, drive, mail, ca_file, monkeypatch, security
):
    monkeypatch.setitem(sasl.MECHANISMS, "X-SHOUT", shouts)
    server = playing(
        ("X: tls" if security is Security.TLS else "")
        + GREETING
        + OFFER.format("X-SHOUT")
        + f"C: AUTH X-SHOUT {b64('SHOP:PÄSSWORD')}\nS: 235 welcome"
        + ADA
    )
    (result,) = drive(
        server, mail("ada@example.org"), security=security, ca_file=ca_file, **ACCOUNT
    )
    assert result.fate is Fate.ACCEPTED


@pytest.fixture
def client_cert(tmp_path):
    file = tmp_path / "client.pem"
    issued = trustme.CA().issue_cert("shop.example")
    issued.private_key_and_cert_chain_pem.write_to_path(file)
    return file


@pytest.mark.parametrize(
    ("username", "response"), [(None, "="), ("shop@example.org", b64("shop@example.org"))]
)
def test_an_account_known_by_its_certificate_says_so(
    playing, drive, mail, ca_file, client_cert, username, response
):
    server = playing(
        "X: tls"
        + GREETING
        + OFFER.format("PLAIN EXTERNAL")
        + f"C: AUTH EXTERNAL {response}\nS: 235 welcome"
        + ADA
    )
    (result,) = drive(
        server,
        mail("ada@example.org"),
        security=Security.TLS,
        ca_file=ca_file,
        client_cert=client_cert,
        username=username,
    )
    assert result.fate is Fate.ACCEPTED


def test_a_certificate_beside_a_password_does_not_take_its_place(
    playing, drive, mail, ca_file, client_cert
):
    server = playing(
        "X: tls" + GREETING + OFFER.format("EXTERNAL PLAIN") + PLAIN_LOGIN + "S: 235 welcome" + ADA
    )
    (result,) = drive(
        server,
        mail("ada@example.org"),
        security=Security.TLS,
        ca_file=ca_file,
        client_cert=client_cert,
        **ACCOUNT,
    )
    assert result.fate is Fate.ACCEPTED


def test_external_without_a_certificate_is_named(playing, refused):
    server = playing(GREETING + OFFER.format("EXTERNAL"))
    result = refused(server, mechanism="EXTERNAL", username="shop")
    assert result.action is Action.ACCOUNT_CONFIG
    assert "client_cert" in result.rule


ECHOES = {
    "the line": "535 5.7.8 no such command: AUTH PLAIN {line}",
    "the line, upper-cased": "535 5.7.8 NO SUCH COMMAND: AUTH PLAIN {upper}",
    "the line, cut short": "535 5.7.8 no such command: AUTH PLAIN {cut}",
    "the line's end": "535 5.7.8 trailing garbage: {tail}",
    "the line in pieces": "535-5.7.8 {cut}\n535 5.7.8 {tail}",
    "the password": "535 5.7.8 bad password '{password}' for shop",
    "the password in base64": "535 5.7.8 bad password {base64}",
    "the password percent-encoded": "535 5.7.8 see https://mx.example/?p={percent}",
    "the password in hex": "535 5.7.8 bad {hex}",
    "after the login": "{welcome}",
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
def test_what_a_server_repeats_of_a_login_is_nowhere_to_be_seen(
    playing, settings, mail, gate, journal, caplog, echo
):
    secret = "Käse&Brot-9182736"
    line = b64(f"\0shop\0{secret}")
    forms = {
        "line": line,
        "upper": line.upper(),
        "cut": line[:24],
        "tail": line[-14:],
        "password": secret,
        "base64": b64(secret),
        "percent": urllib.parse.quote(secret),
        "hex": secret.encode().hex(),
        "welcome": f"235 welcome {line}",
    }
    said = "\n".join(f"S: {part}" for part in echo.format(**forms).split("\n"))
    script = GREETING + OFFER.format("PLAIN") + f"C: AUTH PLAIN {line}\n{said}\n"
    if "welcome" in echo:
        script += f"""
            C: MAIL FROM:<news@shop.example>
            C: RCPT TO:<ada@example.org>
            C: DATA
            S: 550 5.7.1 {secret} may not send
            S: 503 5.5.1 no
            S: 503 5.5.1 no
        """
    server = playing(script)
    caplog.set_level(logging.DEBUG)
    changes = {"username": "shop", "password": lambda: secret, "debug": True}
    driver = Driver(settings(server.port, **changes), gate)
    results = driver.send(mail("ada@example.org"), journal)
    driver.close()
    shown = "\n".join(map(str, [*results, *gate.troubles, *journal.results])) + caplog.text
    shown += "\n".join(line for result in results for line in result.dialogue)
    assert results[0].fate is not Fate.ACCEPTED
    for name, form in forms.items():
        pieces = [form] if len(form) < 8 else [form[n : n + 8] for n in range(len(form) - 7)]
        if name != "welcome":
            assert not [piece for piece in pieces if piece.lower() in shown.lower()], name


def test_a_password_that_is_no_text_is_a_refusal_that_does_not_show_it(playing, refused):
    server = playing(GREETING + OFFER.format("PLAIN"))
    result = refused(server, username="shop", password=lambda: "hunter\udcff2")
    assert result.action is Action.ACCOUNT_CONFIG
    assert "no UTF-8" in result.rule
    assert "hunter" not in result.rule


def test_an_unforeseen_fault_of_the_opening_is_a_refusal_that_names_its_type(
    playing, refused, monkeypatch
):
    def broken(credentials):
        raise KeyError(credentials.secret)
        yield

    monkeypatch.setitem(sasl.MECHANISMS, "PLAIN", broken)
    result = refused(playing(GREETING + OFFER.format("PLAIN")), **ACCOUNT)
    assert result.action is Action.AUTH_RETRY
    assert "KeyError" in result.rule
    assert "pässword" not in result.rule


def test_a_secret_that_cannot_be_had_now_only_waits(playing, refused):
    def sealed():
        raise SecretUnavailableError("accounts.a.password_command: cannot run it: exit status 1")

    server = playing(GREETING + OFFER.format("PLAIN"))
    result = refused(server, username="shop", password=sealed)
    assert result.action is Action.AUTH_RETRY
    assert "exit status 1" in result.rule


@pytest.mark.parametrize("after", ["the first response", "a wrong proof"])
def test_scram_is_no_login_before_the_server_has_proven_itself(
    playing, refused, monkeypatch, after
):
    monkeypatch.setattr(sasl.secrets, "token_urlsafe", lambda _n: "nonce")
    first = b64("n,,n=shop,r=nonce")
    script = GREETING + OFFER.format("SCRAM-SHA-256") + f"C: AUTH SCRAM-SHA-256 {first}\n"
    if after == "a wrong proof":
        conversation = sasl.scram_sha_256(sasl.Credentials("shop", "pässword"))
        next(conversation)
        challenge = f"r=nonceserver,s={b64('salt')},i=4096"
        proof = base64.b64encode(conversation.send(challenge.encode())).decode()
        script += f"S: 334 {b64(challenge)}\nC: {proof}\nS: 334 {b64('v=bm9wZQ==')}\nC: *\n"
    result = refused(playing(script + "S: 235 welcome"), **ACCOUNT)
    assert result.action is Action.AUTH_FAIL
    assert "did not prove" in result.rule


def test_what_a_server_has_us_compute_for_long_is_computed_beside_the_loop(
    playing, drive, mail, gate, monkeypatch
):
    """Else every other connection of the process would stand still for each login."""
    monkeypatch.setattr(sasl.secrets, "token_urlsafe", lambda _n: "nonce")
    challenge = f"r=nonceserver,s={b64('salt')},i={sasl.MAX_ITERATIONS}"
    salted = hashlib.pbkdf2_hmac("sha256", "pässword".encode(), b"salt", sasl.MAX_ITERATIONS)
    in_threads = []

    def computed(*_args):
        in_threads.append(threading.current_thread())
        return salted

    monkeypatch.setattr(sasl.hashlib, "pbkdf2_hmac", computed)
    conversation = sasl.scram_sha_256(sasl.Credentials("shop", "pässword"))
    next(conversation)
    proof = conversation.send(challenge.encode())
    assert in_threads.pop() is threading.current_thread()
    signed = f"n=shop,r=nonce,{challenge},{proof.decode().partition(',p=')[0]}"
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    verified = base64.b64encode(hmac.digest(server_key, signed.encode(), "sha256")).decode()
    server = playing(
        GREETING
        + OFFER.format("SCRAM-SHA-256")
        + f"""
        C: AUTH SCRAM-SHA-256 {b64("n,,n=shop,r=nonce")}
        S: 334 {b64(challenge)}
        C: {base64.b64encode(proof).decode()}
        S: 334 {b64(f"v={verified}")}
        C:
        S: 235 welcome
        """
        + ADA
    )
    (result,) = drive(server, mail("ada@example.org"), **ACCOUNT)
    assert result.fate is Fate.ACCEPTED
    (where,) = in_threads
    assert where is not threading.current_thread()


def test_an_lmtp_port_is_named_as_one(playing, refused):
    server = playing(
        GREETING
        + """
        S: 500 5.5.1 unknown command
        C: HELO client.example
        S: 500 5.5.1 unknown command
        C: LHLO client.example
        S: 250 mx.example
        """
    )
    assert "LMTP" in refused(server).rule


def test_a_server_that_hangs_up_in_the_handshake_is_named(playing, settings, mail, gate, journal):
    server = playing("X: close")
    driver = Driver(settings(server.port, security=Security.TLS), gate)
    (result,) = driver.send(mail("ada@example.org"), journal)
    driver.close()
    assert "hung up" in result.rule


def test_tls_from_the_first_byte_to_a_port_of_starttls_names_the_other_scheme(
    settings, mail, gate, journal
):
    with ScriptedServer() as server:
        driver = Driver(settings(server.port, security=Security.TLS), gate)
        (result,) = driver.send(mail("ada@example.org"), journal)
        driver.close()
    assert "smtp+starttls://" in result.rule


@pytest.mark.parametrize(
    ("name", "fate"),
    [
        ("mx.example", Fate.ACCEPTED),
        ("mx.example.", Fate.ACCEPTED),
        (None, Fate.UNSENT),
    ],
)
def test_the_certificate_s_name_may_be_another_than_the_host_s(
    playing, settings, mail, gate, journal, ca_file, name, fate
):
    server = playing("X: tls" + GREETING + "S: 250 mx.example" + STEPS, certificate="mx.example")
    server_of = settings(server.port, security=Security.TLS, ca_file=ca_file, tls_name=name)
    driver = Driver(server_of, gate)
    (result,) = driver.send(mail("ada@example.org"), journal)
    driver.close()
    assert result.fate is fate
