"""Why a message came back: diagnostic texts of bounces, in one word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.errors import ConfigError
from mailer.smtp import Action, Stage
from mailer.smtp.replies.actions import Reason
from mailer.smtp.replies.reasons import diagnose
from mailer.smtp.rules import parse

TEXTS = [
    ("550 5.1.1 <ada@example.org>: User unknown in virtual mailbox table", "mailbox_unknown"),
    ("450 4.1.1 <ada@example.org>: User unknown in local recipient table", "mailbox_unknown"),
    ("host mx.example[192.0.2.1] said: 550 No such user (in reply to RCPT TO)", "mailbox_unknown"),
    ("550 5.4.1 Recipient address rejected: Access denied.", "mailbox_unknown"),
    ("550 5.1.6 recipient no longer on server", "mailbox_moved"),
    ("551 User not local; please try <ada@new.example>", "mailbox_moved"),
    ("550 5.7.1 Ada has left the company", "mailbox_moved"),
    ("550 5.2.1 The email account that you tried to reach is disabled.", "mailbox_disabled"),
    ("550 Mailbox is frozen", "mailbox_disabled"),
    ("552 5.2.2 Mailbox full", "mailbox_full"),
    ("452 4.2.2 The email account that you tried to reach is over quota", "mailbox_full"),
    ("Host or domain name not found. Name service error for name=x.example", "domain_unknown"),
    ("550 5.1.2 Host unknown", "domain_unknown"),
    ("550 5.7.27 Domain has a null MX", "domain_unknown"),
    ("554 5.7.1 <ada@example.org>: Relay access denied", "relay_denied"),
    (
        "550 5.7.26 Unauthenticated email from shop.example is not accepted (DMARC)",
        "sender_refused",
    ),
    ("554 5.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org", "sender_refused"),
    ("450 4.7.1 Access denied. IP name lookup failed", "sender_refused"),
    ("554 5.7.1 Message content rejected as spam", "content_refused"),
    ("550 Virus Detected; Content Rejected", "content_refused"),
    ("552 5.3.4 Message size exceeds fixed limit", "too_large"),
    ("550 5.2.3 RESOLVER.RST.RecipSizeLimit; message too large for this recipient", "too_large"),
    ("450-4.2.1 The user you are trying to contact is receiving mail at a rate", "rate_limited"),
    ("452 4.3.2 Connection rate limit exceeded", "rate_limited"),
    ("451 4.3.0 Temporary lookup failure", "server_trouble"),
    ("connect to mx.example[192.0.2.1]:25: Connection timed out", "network"),
    ("connect to mx.example[192.0.2.1]:25: Connection refused", "network"),
    ("lost connection with mx.example[192.0.2.1] while sending MAIL FROM", "network"),
    ("550 4.4.7 QUEUE.Expired; message expired", "expired"),
    ("503 5.5.1 Bad sequence of commands", "protocol"),
]


@pytest.mark.parametrize(("text", "reason"), TEXTS)
def test_a_diagnostic_text_has_a_reason(text, reason):
    assert diagnose(text).reason == reason


def test_code_and_status_may_come_beside_the_text():
    assert diagnose("go away", code=550, enhanced="5.1.1").reason is Reason.MAILBOX_UNKNOWN
    assert diagnose("", enhanced="5.2.2").reason is Reason.MAILBOX_FULL
    assert diagnose("", enhanced="4.4.7").reason is Reason.EXPIRED
    assert diagnose("").reason is not None


def test_the_live_action_and_rule_are_told_too():
    found = diagnose("550 5.1.1 No such user", stage=Stage.RCPT)
    assert (found.action, found.rule) == (Action.FAIL_RECIPIENT, "no such recipient")


def test_a_user_s_rule_says_its_own_reason():
    mine = parse([{"text": "blue moon", "action": "fail_recipient", "reason": "mailbox_moved"}])
    assert diagnose("550 not in a blue moon", extra=mine).reason is Reason.MAILBOX_MOVED
    with pytest.raises(ConfigError, match="no reason is called 'lunacy'"):
        parse([{"text": "blue moon", "action": "fail_recipient", "reason": "lunacy"}])


@given(st.text(max_size=3000), st.integers(-1, 999), st.sampled_from([None, "", "x", "5.1.1"]))
def test_nothing_that_a_server_writes_raises(text, code, enhanced):
    assert diagnose(text, code=code, enhanced=enhanced).reason in Reason
