"""A webhook is believed with its signature, within five minutes, and never otherwise."""

import base64
import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailer.errors import InputError
from mailer.feedback.webhooks import proof

NOW = 1_774_958_400.0
STAMP = "1774958400"
BODY = b'{"event": "bounced"}'
KEY = b"a key of octets"
WHSEC = "whsec_" + base64.b64encode(KEY).decode()
EC = ec.generate_private_key(ec.SECP256R1())


def public(key):
    return base64.b64encode(
        key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).decode()


def signed(secret, words):
    return hmac.digest(secret, words, "sha256")


def sender(**changes):
    given = {"stamp": STAMP, "body": BODY, "secret": "s"} | changes
    words = given["stamp"].encode() + b"." + given["body"]
    signature = signed(given["secret"].encode(), words).hex()
    return {"x-mailer-timestamp": given["stamp"], "x-mailer-signature": signature}


def svix(key=KEY, stamp=STAMP, identity="msg_1"):
    words = f"{identity}.{stamp}.".encode() + BODY
    signature = f"v1,{base64.b64encode(signed(key, words)).decode()}"
    return {"svix-id": identity, "svix-timestamp": stamp, "svix-signature": signature}


def sendgrid(stamp=STAMP, key=EC, body=BODY):
    signature = key.sign(stamp.encode() + body, ec.ECDSA(SHA256()))
    prefix = "x-twilio-email-event-webhook"
    return {
        f"{prefix}-timestamp": stamp,
        f"{prefix}-signature": base64.b64encode(signature).decode(),
    }


def mailgun(stamp=STAMP, token="t" * 50, secret=b"s"):
    return {
        "timestamp": stamp,
        "token": token,
        "signature": signed(secret, f"{stamp}{token}".encode()).hex(),
    }


def test_what_is_signed_with_the_secret_is_believed():
    proof.signed_by_sender(sender(), BODY, "s", NOW)
    proof.signed_by_svix(svix(), BODY, WHSEC, NOW)
    proof.signed_by_sendgrid(sendgrid(), BODY, public(EC), NOW)
    proof.signed_by_mailgun(mailgun(), "s", NOW)


@pytest.mark.parametrize("age", [-300.0, 300.0])
def test_five_minutes_to_either_side_are_about_now(age):
    proof.in_time(STAMP, NOW + age)


@pytest.mark.parametrize(
    "stamp",
    [str(NOW - 301), str(NOW + 301), "", "now", "nan", "inf", "-inf", "0", f"{STAMP}000", "1e400"],
)
def test_any_other_time_is_refused_by_whoever_signed_it(stamp):
    for check in (
        lambda: proof.in_time(stamp, NOW),
        lambda: proof.signed_by_sender(sender(stamp=stamp), BODY, "s", NOW),
        lambda: proof.signed_by_svix(svix(stamp=stamp), BODY, WHSEC, NOW),
        lambda: proof.signed_by_sendgrid(sendgrid(stamp), BODY, public(EC), NOW),
        lambda: proof.signed_by_mailgun(mailgun(stamp), "s", NOW),
    ):
        with pytest.raises(InputError, match="its time is missing, or too far from now"):
            check()


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (sender(secret="other"), BODY),
        (sender(), BODY + b" "),
        (sender() | {"x-mailer-timestamp": f"{NOW + 1:.0f}"}, BODY),
        (sender() | {"x-mailer-signature": ""}, BODY),
        (sender() | {"x-mailer-signature": sender()["x-mailer-signature"].upper()}, BODY),
        (sender() | {"x-mailer-signature": "ä"}, BODY),
    ],
)
def test_a_generic_webhook_with_another_signature_is_refused(headers, body):
    with pytest.raises(InputError, match="its signature is wrong") as refused:
        proof.signed_by_sender(headers, body, "s", NOW)
    assert "bounced" not in str(refused.value), "nothing of the request is repeated"


@pytest.mark.parametrize(
    "headers",
    [
        svix(key=b"other"),
        svix() | {"svix-id": "msg_2"},
        svix() | {"svix-signature": ""},
        svix() | {"svix-signature": svix()["svix-signature"].removeprefix("v1,")},
        # Only the first five are looked at: who sends thousands makes no work.
        svix() | {"svix-signature": "v1,x " * 5 + svix()["svix-signature"]},
    ],
)
def test_a_webhook_of_svix_with_another_signature_is_refused(headers):
    with pytest.raises(InputError, match="its signature is wrong"):
        proof.signed_by_svix(headers, BODY, WHSEC, NOW)


def test_one_of_several_signatures_is_enough_while_keys_change():
    several = f"v1,{base64.b64encode(bytes(32)).decode()} {svix()['svix-signature']}"
    proof.signed_by_svix(svix() | {"svix-signature": several}, BODY, WHSEC, NOW)


@pytest.mark.parametrize("secret", ["whsec_", "", "whsec_$$$$", "whsec_ä", "whsec_abc", "----"])
def test_a_secret_that_is_none_believes_nobody(secret):
    """Read leniently, some of these are an empty key, with which anybody can sign."""
    with pytest.raises(InputError, match="the secret is no whsec_"):
        proof.signed_by_svix(svix(key=b""), BODY, secret, NOW)


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        (sendgrid(key=ec.generate_private_key(ec.SECP256R1())), public(EC)),
        (sendgrid(body=b"other"), public(EC)),
        (sendgrid() | {"x-twilio-email-event-webhook-signature": ""}, public(EC)),
        (sendgrid() | {"x-twilio-email-event-webhook-signature": "ä"}, public(EC)),
        (sendgrid(), ""),
        (sendgrid(), "no key"),
        (sendgrid(), "ä"),
    ],
)
def test_a_webhook_of_sendgrid_with_another_signature_is_refused(headers, key):
    with pytest.raises(InputError, match="its signature is wrong"):
        proof.signed_by_sendgrid(headers, BODY, key, NOW)


def test_a_key_of_another_kind_is_named():
    with pytest.raises(InputError, match="the key is none of ECDSA's"):
        proof.signed_by_sendgrid(
            sendgrid(), BODY, public(ed25519.Ed25519PrivateKey.generate()), NOW
        )


@pytest.mark.parametrize(
    "changed",
    [{"token": "x"}, {"signature": ""}, {"signature": None}, {"timestamp": f"{NOW - 1:.0f}"}],
)
def test_a_webhook_of_mailgun_with_another_signature_is_refused(changed):
    with pytest.raises(InputError, match="its signature is wrong"):
        proof.signed_by_mailgun(mailgun() | changed, "s", NOW)


@pytest.mark.parametrize(
    ("authorization", "says"),
    [
        ("Basic dXM6dGhlbQ==", ""),
        ("basic  dXM6dGhlbQ== ", ""),
        ("Bearer us:them", ""),
        ("Bearer us:the", "its signature is wrong"),
        ("Basic us:them", "its signature is wrong"),
        ("Bearer dXM6dGhlbQ==", "its signature is wrong"),
        ("Bearer", "its signature is wrong"),
        ("Digest us:them", "it brings no password"),
        ("", "it brings no password"),
    ],
)
def test_a_password_comes_as_basic_or_as_a_bearer_s_token(authorization, says):
    headers = {"authorization": authorization}
    if not says:
        proof.password(headers, "us:them")
        return
    with pytest.raises(InputError, match=says):
        proof.password(headers, "us:them")
