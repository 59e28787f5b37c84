"""MAIL and RCPT as they are written for a server: each parameter where it is offered."""

import pytest

from mailer.smtp import Action, Fate, Stage, Submission
from mailer.smtp.envelope import MAX_ENVID, Envelope, address
from mailer.smtp.extensions import Extensions
from mailer.smtp.settings import Dsn

ASCII = b"Subject: x\r\n\r\nhello\r\n"
EIGHT_BIT = "Subject: x\r\n\r\nhällo\r\n".encode()
EVERYTHING = ("SIZE", "8BITMIME", "SMTPUTF8", "DSN")
FAILURE = Dsn(notify=("FAILURE",), ret="HDRS")


def write(*keywords, size=None, dsn=None, sender="news@shop.example", to="ada@example.org", **more):
    more.setdefault("content", ASCII)
    offered = Extensions(frozenset(keywords), size=size)
    return address(Submission(sender, to, **more), offered, dsn)


@pytest.mark.parametrize(
    ("keywords", "more", "mail", "rcpt"),
    [
        ((), {}, "<news@shop.example>", "<ada@example.org>"),
        (("SIZE",), {}, "<news@shop.example> SIZE=21", "<ada@example.org>"),
        (EVERYTHING, {}, "<news@shop.example> SIZE=21", "<ada@example.org>"),
        (("8BITMIME",), {"content": EIGHT_BIT}, "<news@shop.example> BODY=8BITMIME", "<ada@example.org>"),
        ((), {"sender": ""}, "<>", "<ada@example.org>"),
        ((), {"to": "ada@münchen.example"}, "<news@shop.example>", "<ada@xn--mnchen-3ya.example>"),
        (("SMTPUTF8",), {"smtputf8": True}, "<news@shop.example> SMTPUTF8", "<ada@example.org>"),
        (("SMTPUTF8",), {"to": "jörg@example.org"}, "<news@shop.example> SMTPUTF8", "<jörg@example.org>"),
        (
            ("SMTPUTF8",),
            {"sender": "jörg@shop.example"},
            "<jörg@shop.example> SMTPUTF8",
            "<ada@example.org>",
        ),
        (
            EVERYTHING,
            {"content": EIGHT_BIT, "to": "jörg@example.org"},
            "<news@shop.example> SIZE=22 SMTPUTF8 BODY=8BITMIME",
            "<jörg@example.org>",
        ),
        (
            ("DSN",),
            {"dsn": FAILURE, "envid": "42"},
            "<news@shop.example> RET=HDRS ENVID=42",
            "<ada@example.org> NOTIFY=FAILURE ORCPT=rfc822;ada@example.org",
        ),
        # RFC 3461 section 4: + and = as xtext
        (
            ("DSN",),
            {"dsn": Dsn(notify=("FAILURE", "DELAY")), "envid": "a=b+c", "to": "ada+x=y@example.org"},
            "<news@shop.example> RET=HDRS ENVID=a+3Db+2Bc",
            "<ada+x=y@example.org> NOTIFY=FAILURE,DELAY ORCPT=rfc822;ada+2Bx+3Dy@example.org",
        ),
        (
            ("DSN", "SMTPUTF8"),
            {"dsn": FAILURE, "to": "jörg@example.org"},
            "<news@shop.example> RET=HDRS SMTPUTF8",
            "<jörg@example.org> NOTIFY=FAILURE",
        ),
        (
            ("DSN",),
            {"dsn": Dsn(notify=(), ret=""), "envid": "1"},
            "<news@shop.example> ENVID=1",
            "<ada@example.org>",
        ),
        ((), {"dsn": FAILURE, "envid": "1"}, "<news@shop.example>", "<ada@example.org>"),
        (("DSN",), {"envid": "1"}, "<news@shop.example>", "<ada@example.org>"),
    ],
)  # fmt: skip
def test_a_parameter_stands_where_the_server_offers_it_and_the_message_needs_it(
    keywords, more, mail, rcpt
):
    envelope = write(*keywords, **more)
    assert isinstance(envelope, Envelope)
    assert envelope.mail.decode() == f"MAIL FROM:{mail}\r\n"
    assert envelope.rcpt.decode() == f"RCPT TO:{rcpt}\r\n"


@pytest.mark.parametrize(
    ("keywords", "more", "stage", "action", "says"),
    [
        ((), {"content": EIGHT_BIT}, Stage.MAIL, Action.FAIL_MESSAGE, "8BITMIME"),
        (("8BITMIME",), {"smtputf8": True}, Stage.MAIL, Action.SMTPUTF8_UNSUPPORTED, "SMTPUTF8"),
        ((), {"to": "jörg@example.org"}, Stage.MAIL, Action.SMTPUTF8_UNSUPPORTED, "SMTPUTF8"),
        ((), {"sender": "jörg@shop.example"}, Stage.MAIL, Action.SMTPUTF8_UNSUPPORTED, "SMTPUTF8"),
        ((), {"to": "nobody"}, Stage.RCPT, Action.FAIL_RECIPIENT, "local"),
        ((), {"to": "a@b.example>\r\nDATA"}, Stage.RCPT, Action.FAIL_RECIPIENT, "local"),
        ((), {"to": ""}, Stage.RCPT, Action.FAIL_RECIPIENT, "local"),
        ((), {"sender": "a\r\nb@shop.example"}, Stage.MAIL, Action.FAIL_MESSAGE, "reverse-path"),
        ((), {"content": b""}, Stage.DATA, Action.FAIL_MESSAGE, "local"),
        ((), {"content": b"bare\nlf\r\n"}, Stage.DATA, Action.FAIL_MESSAGE, "local"),
        ((), {"content": b"nul\0\r\n"}, Stage.DATA, Action.FAIL_MESSAGE, "local"),
        ((), {"content": b"x" * 999 + b"\r\n"}, Stage.DATA, Action.FAIL_MESSAGE, "local"),
    ],
)
def test_what_a_server_cannot_take_is_refused_before_a_word_is_said(
    keywords, more, stage, action, says
):
    result = write(*keywords, **more)
    assert (result.fate, result.stage, result.action) == (Fate.REFUSED, stage, action)
    assert result.reply is None
    assert says in result.rule
    assert "example.org" not in result.rule, "a rule is shown where no address belongs"
    assert "nobody" not in result.rule


@pytest.mark.parametrize(("octets", "fits"), [(20, True), (21, True), (22, False)])
def test_a_message_may_be_as_large_as_the_server_takes_and_not_an_octet_more(octets, fits):
    assert len(ASCII) == 21
    content = ASCII[: octets - 2] + b"\r\n" if octets <= 21 else ASCII[:-2] + b"x\r\n"
    written = write("SIZE", size=21, content=content)
    assert isinstance(written, Envelope) is fits
    if not fits:
        assert "22 octets, and the server takes 21" in written.rule


@pytest.mark.parametrize(("length", "stands"), [(MAX_ENVID, True), (MAX_ENVID + 1, False)])
def test_an_envelope_id_that_is_too_long_is_left_out_and_the_message_goes(length, stands):
    envelope = write("DSN", dsn=FAILURE, envid="x" * length)
    assert (b"ENVID" in envelope.mail) is stands
    # As xtext a "+" takes three octets.
    assert b"ENVID" not in write("DSN", dsn=FAILURE, envid="+" * (MAX_ENVID // 3 + 1)).mail


def test_dots_are_noticed_unless_somebody_has_looked_already():
    assert write(content=b"a\r\n.b\r\n").has_dots
    assert not write(content=b"a.\r\nb\r\n").has_dots
    assert not write(content=b"a\r\nb\r\n", is_vouched_for=True).has_dots
