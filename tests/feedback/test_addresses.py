"""The mailbox in a field of a delivery status notification, in every form that servers write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.feedback.addresses import clean, mailboxes, recipient_field, unxtext
from mailer.smtp import wire

ADA = "ada@example.org"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("rfc822; ada@example.org", ADA),
        ("RFC822;ada@example.org", ADA),
        ("rfc822;<ada@example.org>", ADA),
        ("rfc822; ada@example.org (Ada Lovelace)", ADA),
        ("ada@example.org", ADA),
        ("<ada@example.org>", ADA),
        ("ada@example.org;", ADA),
        ("x400; /S=ada/ ada@example.org", ADA),
        ("rfc822; SMTP=ada@example.org", ADA),
        ("rfc822; mailto:ada@example.org", ADA),
        ("rfc822;ada@example.org.", ADA),
        # a folded field, its blanks inside the address
        ("rfc822; ada@ example.org", ADA),
        # xtext (RFC 3461 section 4)
        ("rfc822;ada+2Bnews@example.org", "ada+news@example.org"),
        ("rfc822;ada+40example.org", ADA),
        # "+" that is no xtext
        ("rfc822; ada+news@example.org", "ada+news@example.org"),
        ("rfc822; ada+AB@example.org", "ada+AB@example.org"),
        # RFC 6533 section 3
        ("utf-8; j\\x{F6}rg@example.org", "jörg@example.org"),
        ("UTF-8;jörg@example.org", "jörg@example.org"),
        ("utf-8; a\\x{110000}b\\x{D800}@example.org", "ab@example.org"),
        ('rfc822; "ada lovelace"@example.org', '"ada lovelace"@example.org'),
        ("rfc822; ada@[192.0.2.1]", "ada@[192.0.2.1]"),
        ("", None),
        ("rfc822;", None),
        ("rfc822; undisclosed", None),
        ("unknown; nobody at all", None),
        ("@", None),
    ],
)
def test_a_recipient_field_names_its_mailbox(value, found):
    assert recipient_field(value) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("no address in here", []),
        ("To <ada@example.org>, bob@example.org.", [ADA, "bob@example.org"]),
        ("ada@example.org ADA@example.org ada@example.org", [ADA, "ADA@example.org"]),
        ("mailto:ada@example.org", [ADA]),
        ("smtp;ada@example.org:", [ADA]),
        ("a@b", ["a@b"]),
        ("@example.org ada@ @", []),
        ("x" * 4001 + " ada@example.org", []),
        ("“ada@example.org”", ["“ada@example.org"]),
    ],
)
def test_mailboxes_are_found_in_order_and_once(text, found):
    assert mailboxes(text) == found


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("<ada@example.org>", ADA),
        ("'ada@example.org'", ADA),
        ("SMTP=ada@example.org", ADA),
        ("MailboxName=ada@example.org", ADA),
        ("ada@example.org..", ADA),
        ("smtp=", ""),
        ("", ""),
    ],
)
def test_what_notices_put_around_a_mailbox_is_taken_off(written, meant):
    assert clean(written) == meant


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40))
def test_xtext_is_undone_by_what_reads_it(text):
    assert unxtext(wire.xtext(text)) == text


@given(st.text(max_size=200))
def test_whatever_a_field_holds_is_a_mailbox_or_none(text):
    found = recipient_field(text)
    assert found is None or "@" in found
