"""The mail server of the tests keeps to SMTP where no script says otherwise: smtplib talks to it."""

import contextlib
import smtplib
import socket
import ssl
import time

import pytest
import trustme

from tests.servers.scripted import ANY, Act, ScriptedServer

ADA, BOB = "ada@example.org", "bob@example.org"


@pytest.fixture
def server():
    with ScriptedServer() as made:
        yield made


def client(server, **more):
    return smtplib.SMTP("127.0.0.1", server.port, timeout=20, **more)


def say(server, octets):
    """All that comes back for *octets*, written at once."""
    with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        connection.sendall(octets)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode().splitlines()


def codes(lines):
    return [line[:3] for line in lines if line[3:4] == " "]


def test_a_message_is_kept_as_it_was_sent_with_dots_and_all(server):
    content = "Subject: dots\r\n\r\n.\r\n..two\r\n.end\r\n"
    with client(server) as sending:
        sending.sendmail("news@shop.example", [ADA, BOB], content)
    (taken,) = server.taken
    assert (taken.sender, taken.mailboxes) == ("news@shop.example", (ADA, BOB))
    assert taken.content == content.encode()
    assert server.mailboxes() == [ADA, BOB]
    assert [message["Subject"] for _, message in server.kept] == ["dots", "dots"]


def test_data_that_was_pipelined_behind_a_refused_recipient_gets_a_refusal(server):
    server.answer("RCPT", "550 5.1.1 no such user", to=ADA)
    lines = say(server, f"MAIL FROM:<a@b.example>\r\nRCPT TO:<{ADA}>\r\nDATA\r\nRSET\r\n".encode())
    assert codes(lines) == ["220", "250", "550", "554", "250"]
    assert server.taken == server.contents == []


def test_one_refused_recipient_of_two_leaves_the_other(server):
    server.gone = {ADA}
    with client(server) as sending:
        assert list(sending.sendmail("a@b.example", [ADA, BOB], "x")) == [ADA]
    assert server.mailboxes() == [BOB]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("RCPT TO:<a@b.example>", "503"),
        ("DATA", "554"),
        ("BDAT 5 LAST\r\nabc", "503"),
        ("XYZZY", "500"),
        ("NOOP", "250"),
        ("STARTTLS", "502"),
        ("AUTH", "235"),
    ],
)
def test_commands_out_of_place_are_answered_and_the_next_is_understood(server, said, expected):
    assert codes(say(server, f"{said}\r\nQUIT\r\n".encode())) == ["220", expected, "221"]


def test_chunks_are_put_together_and_a_refused_one_ends_the_transaction(server):
    begin = f"MAIL FROM:<a@b.example>\r\nRCPT TO:<{ADA}>\r\n"
    say(server, f"{begin}BDAT 4\r\n.ab\nBDAT 2 LAST\r\n\r\n".encode())
    assert server.taken[0].content == b".ab\n\r\n"
    server.answer("BDAT", "452 4.3.1 full")
    lines = say(server, f"{begin}BDAT 2\r\nabBDAT 2 LAST\r\ncd".encode())
    assert codes(lines)[-2:] == ["452", "452"]
    assert len(server.taken) == 1


@pytest.mark.parametrize("login", ["auth_plain", "auth_login"])
@pytest.mark.parametrize("initial", [True, False])
def test_who_has_a_password_logs_in_first(login, initial):
    with ScriptedServer({"shop": "right"}) as server, client(server) as sending:
        sending.ehlo()
        assert sending.mail("a@b.example")[0] == 530
        for password, code in (("wrong", 535), ("right", 235)):
            sending.user, sending.password = "shop", password
            mechanism = login[5:].upper()
            with contextlib.suppress(smtplib.SMTPAuthenticationError):
                found = sending.auth(
                    mechanism, getattr(sending, login), initial_response_ok=initial
                )
                assert found[0] == code
        assert sending.mail("a@b.example")[0] == 250
        assert (server.refused["shop"], server.logins["shop"]) == (1, 1)


@pytest.mark.parametrize("first", [True, False])
def test_it_speaks_tls_and_forgets_what_was_said_before(first):
    authority = trustme.CA()
    context, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(trusting)
    with ScriptedServer(context=context, tls_first=first) as server:
        if first:
            sending = smtplib.SMTP_SSL("127.0.0.1", server.port, timeout=20, context=trusting)
        else:
            sending = client(server)
            sending.starttls(context=trusting)
        with sending:
            sending.ehlo()
            assert not sending.has_extn("STARTTLS")
            sending.sendmail("a@b.example", ADA, "x")
        assert server.mailboxes() == [ADA]


@pytest.mark.parametrize(
    ("act", "taken", "expected"),
    [
        (Act.HANG_UP, 0, smtplib.SMTPServerDisconnected),
        (Act.RESET, 0, (ConnectionResetError, smtplib.SMTPServerDisconnected)),
        (Act.TAKE_AND_HANG_UP, 1, smtplib.SMTPServerDisconnected),
        (Act.SILENCE, 0, (TimeoutError, smtplib.SMTPServerDisconnected)),
        ("451 4.3.0 later", 0, smtplib.SMTPDataError),
        ("garbage", 0, (smtplib.SMTPServerDisconnected, smtplib.SMTPDataError)),
    ],
)
def test_at_the_dot_it_does_what_the_script_says(server, act, taken, expected):
    server.answer("DOT", act)
    sending = client(server)
    sending.ehlo()
    if act is Act.SILENCE:
        sending.sock.settimeout(2)
    with pytest.raises(expected):
        sending.sendmail("a@b.example", ADA, "x")
    sending.close()
    assert len(server.taken) == taken
    assert len(server.contents) == 1, "it came to an end, whatever was said to it"


def test_a_rule_answers_as_often_as_it_says_then_the_next_one_does(server):
    server.answer("NOOP", "450 4.0.0 first", times=2)
    server.answer("NOOP", lambda connection, line: None)
    server.answer(ANY, "451 4.0.0 second", to="NOOP")
    lines = say(server, b"NOOP\r\nNOOP\r\nNOOP\r\nRSET\r\n")
    assert codes(lines) == ["220", "450", "450", "451", "250"]


def test_a_rule_may_be_for_one_user_and_one_recipient():
    with ScriptedServer({"one": "x", "two": "x"}) as server:
        server.answer("DOT", "552 5.2.2 full", to=BOB, user="two")
        refused = []
        for user in ("one", "two"):
            with client(server) as sending:
                sending.login(user, "x")
                for mailbox in (ADA, BOB):
                    try:
                        sending.sendmail("a@b.example", mailbox, "x")
                    except smtplib.SMTPDataError:
                        refused.append((user, mailbox))
        assert refused == [("two", BOB)]
        assert server.mailboxes("one") == [ADA, BOB]
        assert [(one.user, one.number) for one in server.taken] == [
            ("one", 1), ("one", 2), ("two", 1),
        ]  # fmt: skip


def test_it_answers_in_turn_and_hangs_up_at_the_end(server):
    server.say_in_turn("220 portal", "HTTP/1.1 400 Bad Request")
    assert say(server, b"EHLO a\r\nEHLO b\r\n") == ["220 portal", "HTTP/1.1 400 Bad Request"]


def test_421_is_the_last_word(server):
    server.answer("MAIL", "421 4.3.2 closing")
    assert codes(say(server, b"MAIL FROM:<a@b.example>\r\nNOOP\r\n")) == ["220", "421"]


def test_delays_are_by_stage_and_end_with_the_server():
    with ScriptedServer() as server:
        server.delays = {"NOOP": 0.2, "RSET": 600.0}
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", server.port), 20) as sending:
            sending.sendall(b"NOOP\r\nRSET\r\n")
            reading = sending.makefile("rb")
            assert reading.readline().startswith(b"220")
            assert reading.readline().startswith(b"250")
            assert time.monotonic() - began >= 0.2
            server.__exit__()
            assert reading.readline() == b""


def test_open_connections_are_counted_until_the_client_goes(server):
    with client(server) as first:
        first.noop()
        with client(server) as second:
            second.noop()
            assert server.open == 2
        assert server.open == 1
    assert (server.open, server.most_open, len(server.connections)) == (0, 2, 2)


def test_a_reply_may_come_octet_by_octet(server):
    server.pieces = 1
    with client(server) as sending:
        assert sending.ehlo()[0] == 250
        assert sending.has_extn("PIPELINING")
