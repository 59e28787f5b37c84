"""What came back is read for what it is: recipient, status, reason; a vacation is never a bounce."""

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.feedback import Kind, Reason, read
from mailer.feedback.reader import _read
from tests.feedback.made import (
    ADVERSARIES,
    HEAD,
    NOTICES,
    REPLIES,
    VACATIONS,
    answer,
    complaint,
    dsn,
    failed,
    notice,
    ordinary,
)


def only(octets):
    (report,) = read(octets)
    return report


def test_fields_name_recipient_status_and_reason():
    report = only(failed("550 5.1.1 <ada@example.org>: User unknown", status="5.1.1"))
    assert (report.kind, report.recipient) == (Kind.BOUNCE, "ada@example.org")
    assert (report.status, report.reply_code) == ("5.1.1", 550)
    assert (report.reason, report.permanent) == (Reason.MAILBOX_UNKNOWN, True)
    assert report.trace.message_id == "<1234@shop.example>"
    assert report.trace.return_path == "news@shop.example"
    assert report.trace.unsubscribe == "<https://shop.example/u/abc>"


@pytest.mark.parametrize(("reply", "reason"), REPLIES)
def test_a_reply_gives_its_reason(reply, reason):
    assert only(failed(reply)).reason == reason


@pytest.mark.parametrize("case", NOTICES, ids=lambda case: case.name)
def test_a_notice_in_words_is_read(case):
    report = only(case.octets)
    assert (report.kind, report.recipient) == (Kind.BOUNCE, "ada@example.org")
    assert (report.reason, report.permanent) == (case.reason, case.permanent)


@pytest.mark.parametrize("octets", VACATIONS)
def test_a_vacation_is_no_bounce(octets):
    assert only(octets).kind is Kind.AUTO_REPLY


@pytest.mark.parametrize(
    "octets",
    [
        answer(
            'My last mails failed with "user unknown", so I write here. Take me off: ada@example.org'
        ),
        answer(
            "I get these all the time!\n\n> <cousin@example.com>: 550 5.1.1 User unknown",
            subject="Fwd: Undelivered Mail Returned to Sender",
        ),
        answer(
            "The mail system said: 550 5.1.1 <x@example.com> User unknown. Any idea?",
            subject="[postfix-users] Undelivered mail question",
            headers="List-Id: <postfix-users.example>\n",
        ),
        notice("Your mailbox news@shop.example is almost full.", subject="Mailbox quota warning"),
        notice("<p>Your mailbox is full! Click <a href='https://phish.example/'>here</a></p>"),
    ],
)
def test_a_person_is_no_bounce(octets):
    assert only(octets).kind is Kind.UNKNOWN


def test_each_recipient_has_its_own_report():
    fields = (
        "Reporting-MTA: dns; mx\r\n\r\n"
        "Final-Recipient: rfc822; a@example.org\r\nAction: failed\r\nStatus: 5.2.2\r\n\r\n"
        "Final-Recipient: rfc822; b@example.org\r\nAction: delayed\r\nStatus: 4.2.1\r\n\r\n"
        "Final-Recipient: rfc822; c@example.org\r\nAction: delivered\r\nStatus: 2.0.0\r\n"
    )
    found = [(report.recipient, report.kind) for report in read(dsn(fields))]
    assert found == [
        ("a@example.org", Kind.BOUNCE),
        ("b@example.org", Kind.DELAYED),
        ("c@example.org", Kind.DELIVERED),
    ]


def test_groups_need_no_blank_line_between_them():
    fields = (
        "Final-Recipient: rfc822; a@example.org\r\nAction : failed\r\nStatus: 5.1.1\r\n"
        "Final-Recipient: rfc822; b@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n"
    )
    assert [report.recipient for report in read(dsn(fields))] == ["a@example.org", "b@example.org"]


def test_the_original_recipient_goes_before_the_final_one():
    fields = (
        "Original-Recipient: rfc822;ada+40example.org\r\nFinal-Recipient: rfc822; x@elsewhere.example\r\n"
        "Action: failed\r\nStatus: 5.1.1\r\n"
    )
    assert only(dsn(fields)).recipient == "ada@example.org"


def test_an_internationalised_report_is_read():
    fields = (
        "Final-Recipient: utf-8; \\x{E4}da@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"
    )
    assert only(dsn(fields, type_="global-delivery-status")).recipient == "äda@example.org"


def test_the_envelope_id_comes_back():
    fields = (
        "Original-Envelope-Id: abc+2Bdef\r\n\r\n"
        "Final-Recipient: rfc822; a@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n"
    )
    assert only(dsn(fields)).trace.envelope_id == "abc+def"


def test_given_up_after_4xx_is_a_bounce_and_not_permanent():
    report = only(failed("451 4.4.1 connection timed out", status="4.4.7"))
    assert (report.kind, report.permanent) == (Kind.BOUNCE, False)


def test_a_warning_in_words_is_delayed():
    text = (
        "A message that you sent has not yet been delivered to all its recipients "
        "after more than 24 hours.\n"
        "The address to which the message has not yet been delivered is:\n\n  ada@example.org\n\n"
        "No action is required. Delivery attempts will continue for some time.\n"
    )
    assert only(notice(text, subject="Warning: message delayed 24 hours")).kind is Kind.DELAYED


def test_user_unknown_about_a_content_is_not_believed():
    report = only(failed("550 5.7.1 User unknown", status="5.7.1"))
    assert (report.reason, report.permanent) == (Reason.MAILBOX_UNKNOWN, False)


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("abuse", Kind.COMPLAINT),
        ("fraud", Kind.COMPLAINT),
        ("virus", Kind.COMPLAINT),
        ("other", Kind.COMPLAINT),
        ("opt-out", Kind.UNSUBSCRIBE),
        ("not-spam", Kind.REPORT),
        ("auth-failure", Kind.REPORT),
        ("never-heard-of", Kind.REPORT),
    ],
)
def test_a_complaint_is_known_by_its_type(type_, kind):
    report = only(complaint(type_))
    assert (report.kind, report.recipient) == (kind, "ada@example.org")


def test_a_read_receipt_is_a_report():
    octets = dsn("Disposition: manual-action; displayed\r\n", type_="disposition-notification")
    assert only(octets).kind is Kind.REPORT


@given(st.binary(max_size=3000))
def test_never_raises_on_any_octets(octets):
    assert _read(octets, ())
    assert _read(HEAD.encode() + octets, ())


def test_never_raises_on_what_is_cut_or_changed():
    """Each message of an ordinary day, cut anywhere and with octets changed."""
    dice = random.Random(16)
    for octets in ordinary():
        for _ in range(15):
            changed = bytearray(octets[: dice.randrange(len(octets))])
            for _ in range(5):
                if changed:
                    changed[dice.randrange(len(changed))] = dice.randrange(256)
            assert _read(bytes(changed), ())


@pytest.mark.parametrize("name", ADVERSARIES)
def test_a_megabyte_of_anything_takes_no_longer_than_its_length(name):
    """Four times the length costs at most eight times the work, or next to nothing at all."""
    octets = ADVERSARIES[name]

    def spent(part):
        return min(_spent(part) for _ in range(3))

    # A busy machine only adds: what seems too much is measured again.
    quarter = octets[: len(octets) // 4]
    assert any(spent(octets) < max(8 * spent(quarter), 0.2) for _attempt in range(5))


def _spent(octets):
    start = time.thread_time()
    _read(octets, ())
    return time.thread_time() - start


def test_bounds_hold():
    many = "".join(
        f"Final-Recipient: rfc822; u{number}@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
        for number in range(300)
    )
    assert len(read(dsn(many))) == 100
