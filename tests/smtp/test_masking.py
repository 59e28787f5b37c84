"""What must not be shown is taken out of what a server says."""

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.smtp.connection.masking import Mask, addresses_in, without_addresses
from mailer.smtp.connection.transcript import Transcript
from mailer.smtp.reply import Reply, Stage
from mailer.smtp.rules import judge

SECRET = "correct horse battery"


def masking(*secrets):
    mask = Mask()
    mask.add(*secrets)
    return mask


@given(
    before=st.text(max_size=30),
    after=st.text(max_size=30),
    offset=st.integers(0, 5),
    length=st.integers(12, 20),
)
def test_a_secret_in_base64_is_found_at_any_offset(before, after, offset, length):
    secret = SECRET[:length]
    encoded = base64.b64encode(b"u" * offset + secret.encode() + b"xyz").decode()
    cleaned = masking(secret).clean(f"{before} {encoded} {after}")
    # What belongs to the secret alone: the edges also encode its neighbours.
    inner = encoded[4 * ((offset + 2) // 3) : 4 * ((offset + length) // 3)]
    assert inner not in cleaned


@given(st.text(max_size=200))
def test_a_text_without_the_secret_stays_as_it_is(text):
    mask = masking("\x00\x01\x02\x03\x04\x05\x06\x07")
    assert mask.clean(text) == text


@pytest.mark.parametrize("size", [3, 4, 5, 7])
def test_a_text_that_ends_in_the_middle_of_a_secret_is_masked(size):
    assert SECRET[:size] not in masking(SECRET).clean(f"535 no: {SECRET[:size]}")


def test_ordinary_words_are_not_touched():
    said = "5.7.8 Username and Password not accepted. See https://support.example/?p=BadCredentials"
    assert masking(SECRET, "AG5ld3MAc2VjcmV0").clean(said) == said


@pytest.mark.parametrize("secret", ["mail", "User", "recipient", "temporarily"])
def test_a_secret_that_is_an_ordinary_word_leaves_replies_readable(secret):
    said = f"450 the {secret} could not be reached"
    mask = masking(secret, base64.b64encode(f"\0news\0{secret}".encode()).decode())
    assert mask.clean(said) == said
    encoded = base64.b64encode(f"\0news\0{secret}".encode()).decode()
    assert encoded not in mask.clean(f"535 AUTH PLAIN {encoded}"), "what it looks like is masked"


@pytest.mark.parametrize(
    ("secret", "stage", "said"),
    [
        ("Mailbox full", Stage.FINAL, "552 1 Requested mail action aborted, mailbox not found"),
        ("greylisted", Stage.RCPT, "450 4.2.0 <…>: Recipient address rejected: Greylisted"),
        ("user unknown", Stage.RCPT, "450 4.1.1 Recipient address rejected: User unknown in table"),
        ("nonmail", Stage.MAIL, "554 Too many nonmail commands"),
    ],
)
def test_a_reply_is_judged_by_its_own_words_whatever_was_masked(secret, stage, said):
    transcript = Transcript()
    transcript.conceal(secret)
    reply = Reply.parse(said)
    heard = transcript.heard(reply)
    assert secret.casefold() not in f"{heard}{heard!r}".casefold()
    assert judge(stage, heard) == judge(stage, reply)


def test_an_empty_secret_masks_nothing():
    assert masking("", "x", "ab").clean("xxabxx") == "xxabxx"


def test_masking_takes_time_that_grows_with_the_text():
    mask = masking(SECRET, "a" * 2000)

    def cost(text):
        return min(_timed(lambda: mask.clean(text)) for _ in range(3))

    # A busy machine only adds: what seems too much is measured again.
    assert any(cost("a" * 8000) < 8 * max(cost("a" * 2000), 0.0005) for _attempt in range(5))


def _timed(call):
    began = time.thread_time()
    call()
    return time.thread_time() - began


SPELLINGS = [
    "<user.name@example.org>: unknown", "user.name=40example.org", "user.name%40example.org",
    "bounce+user.name=example.org@mx.example", '"user.name"@example.org', "USER.NAME@EXAMPLE.ORG",
    "mailbox user.name is full", "user.name&#64;example.org", "user.name+40example.org",
    "user.name (at) example.org", "https://x.example/?to=user.name%40example.org&x=1",
    "user.name at example.org", "'user.name'", "user.name@other.example",
]  # fmt: skip


@pytest.mark.parametrize("said", SPELLINGS)
def test_an_address_of_ours_is_taken_out_in_every_spelling(said):
    assert "user.name" not in without_addresses(f"550 {said}", ["user.name@example.org"]).lower()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("ada+news@example.org", "ada%2Bnews@example.org"),
        ("ada+news@example.org", "ada+2Bnews@example.org"),
        ("o'hara@example.org", "o%27hara%40example.org"),
        ('"ada l"@example.org', "<ada%20l@example.org>"),
    ],
)
def test_what_is_special_in_an_address_may_be_encoded(address, said):
    assert without_addresses(said, [address]).strip("<>") == "…"


def test_words_that_replies_are_made_of_stay():
    said = "550 5.1.1 user unknown: <user@example.org>"
    assert without_addresses(said, ["user@example.org"]) == "550 5.1.1 user unknown: <…>"
    assert (
        without_addresses("no such recipient, sir", ["si@example.org"]) == "no such recipient, sir"
    )


def test_a_session_s_own_addresses_are_those_of_its_commands():
    said = "MAIL FROM:<news@shop.example> SIZE=5\r\nRCPT TO:<ada@example.org>\r\nDATA\r\n"
    assert addresses_in(said) == ["news@shop.example", "ada@example.org"]
    assert addresses_in("MAIL FROM:<>") == []
