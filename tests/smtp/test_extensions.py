"""What EHLO's reply offers: as servers write it, well or badly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.smtp.extensions import Extensions
from mailer.smtp.reply import Reply, ReplyParser


def read(*lines, disabled=()):
    return Extensions.read(Reply(250, None, ("mx.example at your service", *lines)), disabled)


def test_a_server_of_the_old_days_offers_nothing():
    assert read() == Extensions()
    assert Extensions.read(Reply(250, None, ())) == Extensions()


@pytest.mark.parametrize(
    ("line", "size"),
    [
        ("SIZE 35882577", 35882577),
        ("size 1000", 1000),
        ("SIZE", None),
        ("SIZE 0", None),  # RFC 1870 section 3: no fixed maximum
        ("SIZE 99999999999999999999", 99999999999999999999),
        ("SIZE 999999999999999999999", None),
        ("SIZE ١٢٣", None),  # digits, and not ASCII's
        ("SIZE -5", None),
        ("SIZE 10MB", None),
        ("SIZE max 500", 500),
        ("SIZE=500", None),
    ],
)
def test_a_size_is_a_number_or_none(line, size):
    found = read(line)
    assert found.size == size
    assert ("SIZE" in found) == ("=" not in line)


@pytest.mark.parametrize(
    ("lines", "mechanisms"),
    [
        (["AUTH PLAIN LOGIN"], ("PLAIN", "LOGIN")),
        (["AUTH=PLAIN LOGIN"], ("PLAIN", "LOGIN")),
        (["AUTH LOGIN PLAIN", "AUTH=LOGIN PLAIN"], ("LOGIN", "PLAIN")),
        (["AUTH=LOGIN", "AUTH PLAIN"], ("LOGIN", "PLAIN")),
        (["auth plain"], ("PLAIN",)),
        (["AUTH"], ()),
        (["AUTH\tPLAIN   XOAUTH2"], ("PLAIN", "XOAUTH2")),
        (["XAUTH PLAIN"], ()),
    ],
)
def test_mechanisms_are_read_in_the_server_s_order_and_once_each(lines, mechanisms):
    assert read(*lines).mechanisms == mechanisms


@pytest.mark.parametrize(
    ("line", "most"),
    [
        ("LIMITS MAILMAX=1000 RCPTMAX=50", 1000),
        ("LIMITS RCPTMAX=50", None),
        ("LIMITS MAILMAX=0", None),
        ("LIMITS MAILMAX=", None),
        ("LIMITS MAILMAX=many MAILMAX=20", 20),
        ("LIMITS mailmax=7", 7),
        ("LIMITS", None),
        ("MAILMAX=5", None),
    ],
)
def test_limits_that_are_unknown_or_malformed_are_passed_over(line, most):
    assert read(line).mail_max == most


@pytest.mark.parametrize("disabled", ["PIPELINING", "pipelining", "Pipelining"])
def test_what_is_disabled_is_not_offered(disabled):
    found = read("PIPELINING", "CHUNKING", disabled=[disabled])
    assert "PIPELINING" not in found
    assert "CHUNKING" in found


def test_with_auth_disabled_no_mechanism_is_offered_in_either_form():
    assert read("AUTH PLAIN", "AUTH=LOGIN", disabled=["AUTH"]).mechanisms == ()


def test_a_keyword_in_the_greeting_of_the_reply_is_none():
    (reply,) = ReplyParser().feed(b"250-PIPELINING mx.example\r\n250 8BITMIME\r\n")
    assert Extensions.read(reply).keywords == {"8BITMIME"}


@given(st.lists(st.text(max_size=40), max_size=20), st.lists(st.text(max_size=10), max_size=3))
def test_whatever_a_server_writes_is_read_without_an_error(lines, disabled):
    found = read(*lines, disabled=disabled)
    assert found.size is None or found.size > 0
    assert not any(" " in keyword or keyword != keyword.upper() for keyword in found.keywords)
