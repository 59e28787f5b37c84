"""SASL mechanisms against the examples of their RFCs, and against servers that do not keep to them."""

import base64

import pytest

from mailer.errors import AuthenticationFailedError, ConfigError
from mailer.smtp.login import sasl
from mailer.smtp.login.sasl import MECHANISMS, Credentials, Means, candidates, is_over

NONCE = "rOprNGfwEbeRWgbNEkqO"
FIRST = f"r={NONCE}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".encode()
PROOF = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
PENCIL = Credentials("user", "pencil")


def said(mechanism, credentials, *challenges):
    """All that a mechanism says, one response to each of *challenges*, the initial response first."""
    conversation = MECHANISMS[mechanism](credentials)
    return [next(conversation), *(conversation.send(challenge) for challenge in challenges)]


@pytest.mark.parametrize(
    ("mechanism", "credentials", "challenges", "responses"),
    [
        # RFC 4616 section 4
        ("PLAIN", ("tim", "tanstaaftanstaaf"), [], [b"\0tim\0tanstaaftanstaaf"]),
        ("PLAIN", ("ädä", "pässwörd"), [], "\0ädä\0pässwörd".encode()),
        # RFC 2195 section 2
        (
            "CRAM-MD5",
            ("tim", "tanstaaftanstaaf"),
            [b"<1896.697170952@postoffice.reston.mci.net>"],
            [None, b"tim b913a602c7eda7a495b4e6e7334d3890"],
        ),
        ("LOGIN", ("tim", "x"), [b"Username:", b"Password:"], [None, b"tim", b"x"]),
        # The prompts' words mean nothing: some servers say them in other languages, or not at all.
        ("LOGIN", ("tim", "x"), [b"", b"Kennwort"], [None, b"tim", b"x"]),
        # RFC 7677 section 3
        (
            "SCRAM-SHA-256",
            ("user", "pencil"),
            [FIRST, PROOF],
            [
                f"n,,n=user,r={NONCE}".encode(),
                f"c=biws,r={NONCE}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=".encode(),
                b"",
            ],
        ),
        # RFC 5802 section 5.1: "," and "=" in a name
        ("SCRAM-SHA-256", ("a=b,c", "x"), [], [f"n,,n=a=3Db=2Cc,r={NONCE}".encode()]),
        # RFC 7628 section 4.3, without the challenge that follows
        (
            "OAUTHBEARER",
            (
                "user@example.com",
                "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==",
                "server.example.com",
                587,
            ),
            [b'{"status":"invalid_token"}'],
            [
                (
                    b"n,a=user@example.com,\x01host=server.example.com\x01port=587\x01"
                    b"auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01"
                ),
                b"\x01",
            ],
        ),
        # developers.google.com/gmail/imap/xoauth2-protocol
        (
            "XOAUTH2",
            ("someuser@example.com", "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"),
            [b'{"status":"401"}'],
            [
                (
                    b"user=someuser@example.com\x01"
                    b"auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\x01\x01"
                ),
                b"",
            ],
        ),
        # RFC 4422 appendix A: without an authorization identity nothing is said
        ("EXTERNAL", ("", ""), [], [b""]),
        ("EXTERNAL", ("fred@example.com", ""), [], [b"fred@example.com"]),
    ],
)
def test_each_mechanism_says_what_its_specification_shows(
    monkeypatch, mechanism, credentials, challenges, responses
):
    monkeypatch.setattr(sasl.secrets, "token_urlsafe", lambda _size: NONCE)
    expected = [responses] if isinstance(responses, bytes) else responses
    assert said(mechanism, Credentials(*credentials), *challenges) == expected


@pytest.mark.parametrize("name", MECHANISMS)
def test_no_mechanism_shows_its_secret_by_repr(name):
    credentials = Credentials("ada", "correct horse")
    assert "correct" not in repr(credentials)
    assert "correct" not in repr(MECHANISMS[name](credentials))


SALT = "s=W22ZaJ0SNY7soEsUEjb6gQ=="


@pytest.mark.parametrize(
    "first",
    [
        f"r={NONCE},{SALT},i=4096",  # the server has added nothing to our nonce
        f"r=other%hv,{SALT},i=4096",
        f"{SALT},i=4096",
        f"r={NONCE}x,i=4096",
        f"r={NONCE}x,{SALT}",
        f"r={NONCE}x,{SALT},i=many",
        f"r={NONCE}x,{SALT},i=0",
        f"r={NONCE}x,{SALT},i={sasl.MIN_ITERATIONS - 1}",
        f"r={NONCE}x,{SALT},i=-1",
        f"r={NONCE}x,{SALT},i={sasl.MAX_ITERATIONS + 1}",
        f"r={NONCE}x,s=no base64!,i=4096",
        "",
        "garbage",
        "m=must-understand,r=x",
    ],
)
def test_scram_goes_no_further_with_a_server_that_does_not_keep_to_it(monkeypatch, first):
    monkeypatch.setattr(sasl.secrets, "token_urlsafe", lambda _size: NONCE)
    with pytest.raises(AuthenticationFailedError) as refused:
        said("SCRAM-SHA-256", PENCIL, first.encode())
    assert "pencil" not in str(refused.value)


def test_scram_bears_octets_that_are_no_text(monkeypatch):
    monkeypatch.setattr(sasl.secrets, "token_urlsafe", lambda _size: NONCE)
    with pytest.raises(AuthenticationFailedError):
        said("SCRAM-SHA-256", PENCIL, b"\xff\xfe" + FIRST)


@pytest.mark.parametrize(
    "last",
    [
        PROOF[:-5] + b"AAAA=",
        b"v=",
        b"",
        b"e=invalid-proof",
        b"v=" + base64.b64encode(bytes(32)),
        PROOF.replace(b"v=", b"x="),
    ],
)
def test_scram_believes_no_server_that_does_not_prove_itself(monkeypatch, last):
    monkeypatch.setattr(sasl.secrets, "token_urlsafe", lambda _size: NONCE)
    with pytest.raises(AuthenticationFailedError, match=r"prove|says invalid-proof"):
        said("SCRAM-SHA-256", PENCIL, FIRST, last)


@pytest.mark.parametrize("password", ["\u2168", "IX"])
def test_a_password_is_normalised_as_the_server_s_is(monkeypatch, password):
    """RFC 4013 section 3: ROMAN NUMERAL NINE is IX."""
    monkeypatch.setattr(sasl.secrets, "token_urlsafe", lambda _size: NONCE)
    _, proof = said("SCRAM-SHA-256", Credentials("user", password), FIRST)
    _, same = said("SCRAM-SHA-256", Credentials("user", "IX"), FIRST)
    assert proof == same


@pytest.mark.parametrize(
    ("mechanism", "challenges", "over"),
    [
        ("PLAIN", [], True),
        ("EXTERNAL", [], True),
        ("LOGIN", [b"Username:"], False),
        ("LOGIN", [b"Username:", b"Password:"], True),
        ("CRAM-MD5", [], False),
        ("CRAM-MD5", [b"<1@mx>"], True),
        ("SCRAM-SHA-256", [], False),
        ("SCRAM-SHA-256", [FIRST], False),
        ("SCRAM-SHA-256", [FIRST, PROOF], True),
    ],
)
def test_a_success_counts_only_at_a_mechanism_s_end(monkeypatch, mechanism, challenges, over):
    monkeypatch.setattr(sasl.secrets, "token_urlsafe", lambda _size: NONCE)
    conversation = MECHANISMS[mechanism](PENCIL)
    next(conversation)
    for challenge in challenges:
        conversation.send(challenge)
    assert is_over(conversation) is over


PASSWORD, TOKEN, CERTIFICATE = Means(password=True), Means(token=True), Means(certificate=True)
ALL = tuple(MECHANISMS)


@pytest.mark.parametrize(
    ("offered", "means", "encrypted", "found"),
    [
        (ALL, PASSWORD, True, ["SCRAM-SHA-256", "PLAIN", "LOGIN", "CRAM-MD5"]),
        (ALL, PASSWORD, False, ["SCRAM-SHA-256", "CRAM-MD5", "PLAIN", "LOGIN"]),
        (ALL, TOKEN, True, ["OAUTHBEARER", "XOAUTH2"]),
        (ALL, CERTIFICATE, True, ["EXTERNAL"]),
        (ALL, Means(password=True, token=True), True, ["OAUTHBEARER", "XOAUTH2"]),
        (ALL, Means(password=True, certificate=True), True, [*ALL[2:6], "EXTERNAL"]),
        (ALL, Means(), True, []),
        (("LOGIN", "PLAIN"), PASSWORD, True, ["PLAIN", "LOGIN"]),
        (("GSSAPI", "NTLM"), PASSWORD, True, []),
        ((), PASSWORD, True, []),
    ],
)
def test_the_best_mechanism_that_fits_comes_first(offered, means, encrypted, found):
    assert candidates(offered, configured=None, means=means, is_encrypted=encrypted) == found


@pytest.mark.parametrize("name", MECHANISMS)
def test_a_configured_mechanism_is_the_only_one_in_whatever_case(name):
    for written in (name, name.lower()):
        ask = {"configured": written, "means": Means(), "is_encrypted": False}
        assert candidates(ALL, **ask) == [name]
        assert candidates(("GSSAPI",), **ask) == []


def test_a_configured_mechanism_that_nobody_knows_is_a_mistake():
    with pytest.raises(ConfigError, match="'DIGEST-MD5' is not one of OAUTHBEARER"):
        candidates(ALL, configured="DIGEST-MD5", means=PASSWORD, is_encrypted=True)
