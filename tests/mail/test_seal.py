"""Sealed words: what is sealed is opened, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.mail.seal import KEY_OCTETS, TAG_OCTETS, Seal, campaign_tag, message_hash

SECRETS = st.one_of(st.text(min_size=1, max_size=80), st.binary(min_size=1, max_size=80))
PURPOSES = st.sampled_from(["verp", "unsubscribe", "id", "x"])


@given(SECRETS, PURPOSES, st.integers(1, 64), st.binary(max_size=400))
def test_what_is_sealed_is_opened(secret, purpose, proof, words):
    seal = Seal(secret, purpose, proof)
    sealed = seal.seal(words)
    assert len(sealed) == len(words) + proof
    assert seal.open(sealed) == words
    assert Seal(secret, purpose, proof).seal(words) == sealed


@given(st.binary(min_size=1, max_size=200), st.data())
def test_a_bit_that_is_changed_closes_it(words, data):
    seal = Seal("secret", "verp", 7)
    sealed = bytearray(seal.seal(words))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= 1 << data.draw(st.integers(0, 7))
    assert seal.open(bytes(sealed)) is None


@pytest.mark.parametrize(
    ("secret", "purpose", "proof"),
    [
        ("other", "verp", 7),
        ("secret", "unsubscribe", 7),
        ("secret", "verp", 8),
        ("secret", "verp", 6),
        ("", "verp", 7),
    ],
)
def test_another_secret_purpose_or_length_does_not_open_it(secret, purpose, proof):
    sealed = Seal("secret", "verp", 7).seal(b"words of some length")
    assert Seal(secret, purpose, proof).open(sealed) is None


@pytest.mark.parametrize(
    "octets", [b"", b"x", b"1234567", b"\0" * 7, b"\0" * 100, bytes(range(256))]
)
def test_octets_that_nobody_sealed_are_not_opened(octets):
    assert Seal("secret", "verp", 7).open(octets) is None


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_different_words_look_different(one, other):
    seal = Seal("secret", "unsubscribe", 16)
    assert (seal.seal(one) == seal.seal(other)) == (one == other)


def test_a_seal_shows_nothing_of_what_is_sealed():
    seal = Seal("secret", "unsubscribe", 16)
    ada, bob = seal.seal(b"ada@example.org" * 9), seal.seal(b"bob@example.org" * 9)
    assert b"example" not in ada
    # Words that are nearly the same have nothing in common once they are sealed.
    assert sum(a == b for a, b in zip(ada, bob, strict=True)) < 20


@given(st.text(max_size=100))
def test_a_campaign_has_a_tag_of_its_own(campaign):
    tag = campaign_tag(campaign)
    assert len(tag) == TAG_OCTETS
    assert tag == campaign_tag(campaign)
    assert tag != campaign_tag(campaign + "x")


def test_a_message_id_differs_by_secret_campaign_and_recipient():
    found = set()
    for secret in ("", "a", "b"):
        for campaign in ("", "c", "d"):
            for key in (b"\0" * KEY_OCTETS, b"\1" * KEY_OCTETS):
                digest = message_hash(secret, campaign)
                digest.update(key)
                found.add(digest.hexdigest())
    assert len(found) == 18
    assert {len(one) for one in found} == {24}
