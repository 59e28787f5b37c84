"""DKIM signatures, with dkimpy as the judge."""

import base64

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from mailer.deliver.dkim import Signer, signatures
from mailer.errors import ConfigError, WireError

HEAD = (
    b"From: Shop <news@shop.example>\r\nTo: ada@example.org\r\nSubject:  Hello   there\r\n"
    b"Date: Sun, 01 Mar 2026 09:30:00 +0000\r\nMessage-ID: <1@shop.example>\r\n"
    b"List-Unsubscribe: <https://shop.example/u/1>,\r\n <mailto:off@shop.example>\r\n"
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nX-Other: not signed\r\n"
)
MESSAGE = HEAD + b"\r\nHello  Ada \r\n\r\n\r\n"
RSA = rsa.generate_private_key(65537, 2048)
ED25519 = ed25519.Ed25519PrivateKey.generate()


def pem(key: object) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def public(key: object) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    else:
        encoding, form = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    return base64.b64encode(key.public_key().public_bytes(encoding, form))


RECORDS = {
    b"r._domainkey.shop.example.": b"v=DKIM1; k=rsa; p=" + public(RSA),
    b"e._domainkey.shop.example.": b"v=DKIM1; k=ed25519; p=" + public(ED25519),
}


def verified(content: bytes) -> bool:
    return dkim.verify(content, dnsfunc=lambda name, timeout=5: RECORDS[bytes(name)])


@pytest.fixture(params=["r", "e"], ids=["rsa", "ed25519"])
def signer(request) -> Signer:
    return Signer("shop.example", request.param, pem({"r": RSA, "e": ED25519}[request.param]))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n",
        b"\r\n\r\n",
        b"x",
        b"x\r\n",
        b" \r\n",
        b"\t x \t\r\n\r\n",
        b"a  b\r\n c\t\td",
        b"  \r\nx",
    ],
)
def test_a_signature_is_verified(signer, body):
    content = HEAD + b"\r\n" + body
    assert verified(signer.sign(content) + content)


SIGNERS = [Signer("shop.example", "e", pem(ED25519))]
BODY = st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"=20", b"."]), max_size=20).map(
    b"".join
)


@given(BODY, st.integers(0, 20))
def test_content_in_chunks_is_signed_as_content_in_one(body, cut):
    content = HEAD + b"\r\n" + body
    border = min(len(HEAD) + 2 + cut, len(content))
    (signer,) = SIGNERS
    field = signer.sign_chunks([content[:border], content[border:]], now=1)
    assert field == signer.sign(content, now=1)
    assert verified(signer.sign(content) + content)


def test_two_keys_sign_the_same_and_each_is_verified():
    pair = [Signer("shop.example", name, pem(key)) for name, key in (("r", RSA), ("e", ED25519))]
    signed = signatures(pair, MESSAGE, now=1) + MESSAGE
    assert signed == pair[1].sign(MESSAGE, now=1) + pair[0].sign(MESSAGE, now=1) + MESSAGE
    for number in (0, 1):
        judge = dkim.DKIM(signed)
        assert judge.verify(idx=number, dnsfunc=lambda name, timeout=5: RECORDS[bytes(name)])
    assert signatures([], MESSAGE) == b""
    with pytest.raises(WireError, match="no From"):
        signatures(pair, b"To: a@b.example\r\n\r\n")


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b"Hello  Ada", b"Hello Eve"),
        (b"Subject:  Hello", b"Subject: Goodbye"),
        (b"https://shop.example/u/1", b"https://evil.example/u/1"),
        (b"List-Unsubscribe=One-Click", b"List-Unsubscribe=No"),
        (b"news@shop.example>\r\nTo", b"boss@shop.example>\r\nTo"),
    ],
)
def test_a_change_is_noticed(signer, was, becomes):
    assert was in MESSAGE
    assert not verified(signer.sign(MESSAGE) + MESSAGE.replace(was, becomes))


def test_a_second_from_is_noticed(signer):
    assert not verified(b"From: evil@evil.example\r\n" + signer.sign(MESSAGE) + MESSAGE)


def test_a_relay_may_fold_headers_and_trim_blanks(signer):
    relayed = MESSAGE.replace(b"Hello   there", b"Hello\r\n there").replace(b"Ada \r\n", b"Ada\r\n")
    assert verified(signer.sign(MESSAGE) + relayed)


def test_what_one_click_wants_covered_is_covered(signer):
    field = signer.sign(MESSAGE).replace(b"\r\n ", b"").replace(b" ", b"")
    names = field.split(b"h=")[1].split(b";")[0].split(b":")
    assert {b"list-unsubscribe", b"list-unsubscribe-post", b"from", b"date"} <= set(names)
    assert names.count(b"from") == 2
    assert b"x-other" not in names


def test_the_field_is_folded(signer):
    field = signer.sign(MESSAGE)
    assert field.endswith(b"\r\n")
    assert max(map(len, field.split(b"\r\n"))) <= 80
    assert all(line.startswith(b" ") for line in field.split(b"\r\n")[1:-1])


def test_a_key_is_read_from_a_file(tmp_path):
    path = tmp_path / "key.pem"
    path.write_bytes(pem(RSA))
    assert verified(Signer("Shop.Example", "r", path).sign(MESSAGE) + MESSAGE)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (b"", "is no private key in PEM"),
        (
            b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n",
            "is no private key",
        ),
        (pem(ec.generate_private_key(ec.SECP256R1())), "neither RSA nor Ed25519"),
        ("/nowhere/key.pem", "cannot read the DKIM key /nowhere/key.pem: No such file"),
    ],
)
def test_a_key_that_cannot_be_used_says_why_and_not_what_it_is(key, reason):
    with pytest.raises(ConfigError, match=reason) as caught:
        Signer("shop.example", "r", key)
    assert "c2VjcmV0" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "shop example", "shop.example;", "bücher.example", "a..b"])
def test_a_domain_or_selector_is_a_name_in_the_dns(name):
    with pytest.raises(ConfigError, match="is no name in the DNS"):
        Signer(name, "r", pem(ED25519))
    with pytest.raises(ConfigError, match="is no name in the DNS"):
        Signer("shop.example", name, pem(ED25519))


def test_content_without_from_or_without_an_empty_line_is_not_signed(signer):
    with pytest.raises(WireError, match="no From"):
        signer.sign(b"To: a@b.de\r\n\r\nx")
    with pytest.raises(WireError, match="no empty line"):
        signer.sign(b"From: a@b.de\r\n")


def test_the_repr_shows_no_key(signer):
    assert repr(signer).startswith(f"<Signer {signer.selector}._domainkey.shop.example ")
    assert "PRIVATE" not in repr(signer)
