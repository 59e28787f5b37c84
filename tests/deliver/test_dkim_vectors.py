"""DKIM by the RFCs' own examples, and side by side with an implementation that is not ours (dkimpy)."""

import base64
import re
from hashlib import sha256

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from dkim.canonicalization import Relaxed
from hypothesis import given
from hypothesis import strategies as st

from mailer.deliver.dkim import _FIELD, _SIGNED, Signer, _body_hash, _relaxed, _signed_fields

# RFC 8463 appendix A: the two keys, the message, and its two signatures.
RSA_KEY = b"""-----BEGIN RSA PRIVATE KEY-----
MIICXQIBAAKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi
Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqM
KrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB
AoGAH0cxOhFZDgzXWhDhnAJDw5s4roOXN4OhjiXa8W7Y3rhX3FJqmJSPuC8N9vQm
6SVbaLAE4SG5mLMueHlh4KXffEpuLEiNp9Ss3O4YfLiQpbRqE7Tm5SxKjvvQoZZe
zHorimOaChRL2it47iuWxzxSiRMv4c+j70GiWdxXnxe4UoECQQDzJB/0U58W7RZy
6enGVj2kWF732CoWFZWzi1FicudrBFoy63QwcowpoCazKtvZGMNlPWnC7x/6o8Gc
uSe0ga2xAkEA8C7PipPm1/1fTRQvj1o/dDmZp243044ZNyxjg+/OPN0oWCbXIGxy
WvmZbXriOWoSALJTjExEgraHEgnXssuk7QJBALl5ICsYMu6hMxO73gnfNayNgPxd
WFV6Z7ULnKyV7HSVYF0hgYOHjeYe9gaMtiJYoo0zGN+L3AAtNP9huqkWlzECQE1a
licIeVlo1e+qJ6Mgqr0Q7Aa7falZ448ccbSFYEPD6oFxiOl9Y9se9iYHZKKfIcst
o7DUw1/hz2Ck4N5JrgUCQQCyKveNvjzkkd8HjYs0SwM0fPjK16//5qDZ2UiDGnOe
uEzxBDAr518Z8VFbR41in3W4Y3yCDgQlLlcETrS+zYcL
-----END RSA PRIVATE KEY-----
"""
ED25519_SEED = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
ED25519_KEY = Ed25519PrivateKey.from_private_bytes(base64.b64decode(ED25519_SEED)).private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
)
PUBLISHED = {
    "brisbane": "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    "test": (
        "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR"
        "iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/b"
        "yYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKr"
        "M3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
    ),
}
KEYS = {"brisbane": ED25519_KEY, "test": RSA_KEY}
DOMAIN = "football.example.com"


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


HEAD = crlf(
    """From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>
"""
)
BODY = crlf("Hi.\n\nWe lost the game.  Are you hungry yet?\n\nJoe.\n")
MESSAGE = HEAD + b"\r\n" + BODY
SIGNATURES = {
    "brisbane": crlf(
        """DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
"""
    ),
    "test": crlf(
        """DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
"""
    ),
}


def lookup(name, timeout=5):
    selector = bytes(name).decode().partition(".")[0]
    assert bytes(name).decode() == f"{selector}._domainkey.{DOMAIN}."
    return PUBLISHED[selector].encode()


def verified(content: bytes) -> bool:
    return dkim.verify(content, dnsfunc=lookup)


def fields(head: bytes) -> list[tuple[bytes, bytes]]:
    """Name and canonical form of each field of *head*."""
    return [(name.lower(), _relaxed(name.lower(), value)) for name, value in _FIELD.findall(head)]


# RFC 8463 appendix A.


@pytest.fixture(params=sorted(KEYS))
def selector(request) -> str:
    return request.param


def test_the_examples_are_those_of_the_rfc(selector):
    """So that the tests below compare with the RFC, and not with a slip of the pen."""
    assert verified(SIGNATURES[selector] + MESSAGE)


def test_the_body_of_the_example_has_the_hash_that_it_says():
    assert base64.b64encode(_body_hash([BODY])) == b"2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="


def test_from_the_same_fields_we_make_the_same_signature(selector):
    """Both algorithms are deterministic: what we sign in the RFC's words is the RFC's signature."""
    name, value = _FIELD.findall(SIGNATURES[selector])[0]
    bare, signature = re.fullmatch(rb"(.*\bb=)([^;]*)", value, re.DOTALL).groups()
    signed = b"".join(canonical + b"\r\n" for _, canonical in fields(HEAD))
    made = Signer(DOMAIN, selector, KEYS[selector])._sign(signed + _relaxed(name.lower(), bare))
    assert base64.b64encode(made) == re.sub(rb"\s", b"", signature)


def test_our_own_field_over_the_example_is_verified(selector):
    signer = Signer(DOMAIN, selector, KEYS[selector])
    field = signer.sign(MESSAGE, now=1528637909.9)
    assert verified(field + MESSAGE)
    assert b"; t=1528637909;" in field
    assert b"bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;" in field
    assert field == signer.sign(MESSAGE, now=1528637909.0), "the same at every time of that second"


def test_the_key_that_receivers_must_find_is_the_published_one(selector):
    key = Signer(DOMAIN, selector, KEYS[selector]).key
    assert PUBLISHED[selector].partition("p=")[2] in key.forms
    assert (key.algorithm, key.bits) == {"brisbane": ("ed25519", 256), "test": ("rsa", 1024)}[
        selector
    ]


# RFC 6376 section 3.4.5, and the forms of sections 3.4.2 and 3.4.4.


def test_the_header_fields_of_the_example_in_relaxed_form():
    head = b"A: X \r\nB : Y\t\r\n\tZ  \r\n"
    assert fields(head) == [(b"a", b"a:X"), (b"b", b"b:Y Z")]


@pytest.mark.parametrize(
    ("body", "canonical"),
    [
        (b" C \r\nD \t E\r\n\r\n\r\n", b" C\r\nD E\r\n"),  # the RFC's own
        (b"", b""),
        (b"\r\n", b""),
        (b"\r\n\r\n\r\n", b""),
        (b" \t \r\n", b""),
        (b" \r\n\t\r\n", b""),
        (b"x\r\n", b"x\r\n"),
        (b"x", b"x\r\n"),
        (b"x\r\n\r\n", b"x\r\n"),
        (b"x\r\n \r\n\t\r\n", b"x\r\n"),
        (b"x \r\n", b"x\r\n"),
        (b"x\t \t\r\n", b"x\r\n"),
        (b"x  y\tz\r\n", b"x y z\r\n"),
        (b"  x\r\n", b" x\r\n"),
        (b"\tx\r\n", b" x\r\n"),
        (b"\r\nx\r\n", b"\r\nx\r\n"),
        (b"x\r\n\r\ny\r\n", b"x\r\n\r\ny\r\n"),
        (b"x\r\n  \r\ny\r\n", b"x\r\n\r\ny\r\n"),
        (b".\r\n..\r\n", b".\r\n..\r\n"),
    ],
)
def test_a_body_in_relaxed_form(body, canonical):
    assert _body_hash([body]) == sha256(canonical).digest()
    for border in range(len(body) + 1):
        chunks = [body[:border], body[border:]]
        assert _body_hash(chunks) == sha256(canonical).digest(), border


def test_the_hash_of_no_body_is_the_one_that_the_rfc_names():
    """RFC 6376 section 3.4.4, of an empty body in relaxed form."""
    empty = b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    assert base64.b64encode(_body_hash([b""])) == empty


BLANK = st.sampled_from([b" ", b"\t", b"  ", b" \t", b"\t\t "])
WORD = st.sampled_from([b"a", b"Bc", b"=20", b".", b"-- ", b"\xc3\xa4", b":"])


@given(st.lists(BLANK | WORD | st.just(b"\r\n"), max_size=30).map(b"".join))
def test_bodies_have_the_form_that_dkimpy_gives_them(body):
    body += b"\r\n"
    assert _body_hash([body]) == sha256(Relaxed.canonicalize_body(body)).digest()


@given(
    st.sampled_from([b"Subject", b"SUBJECT", b"X-a", b"List-Unsubscribe"]),
    st.lists(BLANK | WORD | st.sampled_from([b"\r\n ", b"\r\n\t"]), max_size=20).map(b"".join),
)
def test_header_fields_have_the_form_that_dkimpy_gives_them(name, value):
    ((_, taken),) = _FIELD.findall(name + b":" + value + b"\r\n")
    ours = _relaxed(name.lower(), taken) + b"\r\n"
    ((theirs, content),) = Relaxed.canonicalize_headers([(name, value + b"\r\n")])
    assert ours == theirs + b":" + content


# What is covered.

RFC_6376_5_4_1 = (
    "from reply-to subject date to cc resent-date resent-from resent-to resent-cc in-reply-to references "
    "list-id list-help list-unsubscribe list-subscribe list-post list-owner list-archive"
)


def test_every_field_that_the_rfcs_want_covered_is():
    wanted = {name.encode() for name in RFC_6376_5_4_1.split()}
    assert wanted | {b"list-unsubscribe-post", b"message-id", b"content-type"} <= set(_SIGNED)
    assert len(_SIGNED) == len(set(_SIGNED))


@pytest.mark.parametrize("name", [name.decode() for name in _SIGNED])
def test_a_change_in_a_covered_field_is_noticed(selector, name):
    head = b"".join(
        field + b"\r\n" for field in HEAD.split(b"\r\n") if field and not _is(field, name)
    )
    content = head + f"{name.title()}: <joe@football.example.com>\r\n".encode() + b"\r\n" + BODY
    field = Signer(DOMAIN, selector, KEYS[selector]).sign(content)
    assert verified(field + content)
    assert not verified(field + content.replace(b": <joe@", b": <moe@"))


def _is(field: bytes, name: str) -> bool:
    return field.lower().startswith(name.encode() + b":")


def test_fields_that_are_there_twice_are_signed_from_the_last_one_up(selector):
    """RFC 6376 section 5.4.2."""
    head = b"From: a@b.example\r\nCc: first@b.example\r\nTo: t@b.example\r\nCc: last@b.example\r\n"
    names, signed = _signed_fields(head)
    assert names == [b"from", b"from", b"to", b"cc", b"cc"]
    assert signed.index(b"last@") < signed.index(b"first@")
    content = head + b"\r\n" + BODY
    field = Signer(DOMAIN, selector, KEYS[selector]).sign(content)
    assert verified(field + content)
    swapped = (
        content.replace(b"first@", b"x@").replace(b"last@", b"first@").replace(b"x@", b"last@")
    )
    assert not verified(field + swapped)
    assert not verified(field + content.replace(b"first@", b"worst@"))


# What a relay does to a message on its way.

HARMLESS = [
    ("a name in capitals", b"Subject:", b"SUBJECT:"),
    ("no blank after the colon", b"Subject: Is", b"Subject:Is"),
    ("a field that is folded", b"Is dinner", b"Is\r\n dinner"),
    ("a field that is folded by a tab", b"Is dinner", b"Is\r\n\tdinner"),
    ("several blanks in a field", b"Is dinner", b"Is \t dinner"),
    ("a blank at a field's end", b"ready?\r\n", b"ready? \t\r\n"),
    ("blanks in a row in the body", b"game.  Are", b"game. \t Are"),
    ("one blank for two", b"game.  Are", b"game. Are"),
    ("a blank at a line's end", b"Joe.\r\n", b"Joe. \t\r\n"),
    ("empty lines at the end", b"Joe.\r\n", b"Joe.\r\n\r\n \r\n"),
    ("a field that is not covered", b"From: Joe", b"Received: by mx.example\r\nFrom: Joe"),
    ("other fields before it", b"To: Suzie", b"X-Spam-Score: 0\r\nTo: Suzie"),
]
HARMFUL = [
    ("a letter", b"dinner", b"Dinner"),
    ("a blank within a word", b"dinner", b"din ner"),
    ("no blank between words", b"Is dinner", b"Isdinner"),
    ("a blank at a line's beginning", b"Joe.\r\n", b" Joe.\r\n"),
    ("a line at the end", b"Joe.\r\n", b"Joe.\r\nUnsubscribe\r\n"),
    ("an empty line in the middle", b"Hi.\r\n", b"Hi.\r\n\r\n"),
    ("no empty line in the middle", b"Hi.\r\n\r\n", b"Hi.\r\n"),
    ("a missing field", b"Subject: Is dinner ready?\r\n", b""),
    ("an empty field", b"Subject: Is dinner ready?\r\n", b"Subject:\r\n"),
    ("a second sender above", b"From: Joe", b"From: Eve <eve@evil.example>\r\nFrom: Joe"),
    ("a second sender below", b"To: Suzie", b"From: Eve <eve@evil.example>\r\nTo: Suzie"),
    ("two fields in one", b"\r\nDate:", b" Date:"),
]


@pytest.mark.parametrize(("what", "was", "becomes"), HARMLESS, ids=[one[0] for one in HARMLESS])
def test_what_relays_may_do_leaves_the_signature_good(selector, what, was, becomes):
    assert MESSAGE.count(was) == 1
    field = Signer(DOMAIN, selector, KEYS[selector]).sign(MESSAGE)
    assert verified(field + MESSAGE.replace(was, becomes))


@pytest.mark.parametrize(("what", "was", "becomes"), HARMFUL, ids=[one[0] for one in HARMFUL])
def test_what_changes_the_message_breaks_the_signature(selector, what, was, becomes):
    assert MESSAGE.count(was) == 1
    field = Signer(DOMAIN, selector, KEYS[selector]).sign(MESSAGE)
    assert not verified(field + MESSAGE.replace(was, becomes))


@pytest.mark.parametrize("tag", ["a", "d", "s", "t", "h", "bh"])
def test_no_tag_of_the_field_can_be_changed(selector, tag):
    field = Signer(DOMAIN, selector, KEYS[selector]).sign(MESSAGE, now=1528637909)
    changes = {
        "a": (b"rsa-sha256", b"rsa-sha1") if selector == "test" else (b"ed25519", b"ed25518"),
        "d": (b"d=football.example.com", b"d=example.com"),
        "s": (f"s={selector}".encode(), b"s=other"),
        "t": (b"t=1528637909", b"t=1528637910"),
        "h": (b":subject:", b":"),
        "bh": (b"bh=2jUS", b"bh=3jUS"),
    }
    was, becomes = changes[tag]
    assert was in field
    try:
        good = verified(field.replace(was, becomes) + MESSAGE)
    except (AssertionError, KeyError):  # a key that nobody publishes
        good = False
    assert not good
