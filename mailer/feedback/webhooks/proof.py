"""Is a request the provider's? Signatures, passwords and time windows, compared in constant time."""

import base64
import hmac
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mailer.errors import InputError

WINDOW: Final = 300.0
"""Seconds that a signed time may lie before or after now: an old request is not taken again."""


def refused(why: str) -> InputError:
    """The error for a request that is not believed; it repeats nothing of the request."""
    return InputError(f"webhook refused: {why}")


def in_time(stamp: str, now: float) -> None:
    """Raise `InputError` unless *stamp*, in seconds since the epoch, is about *now*."""
    try:
        age = abs(now - float(stamp))
    except ValueError:
        age = WINDOW * 2
    if not age <= WINDOW:
        raise refused("its time is missing, or too far from now")


def same(given: str, expected: str) -> None:
    """Raise `InputError` unless both are the same."""
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise refused("its signature is wrong")


def hmac_hex(secret: str, words: bytes) -> str:
    """HMAC-SHA256 in hexadecimal digits."""
    return hmac.digest(secret.encode(), words, "sha256").hex()


def password(headers: Mapping[str, str], secret: str) -> None:
    """Raise `InputError` unless the request brings *secret*: ``user:password``, or a bearer's token."""
    kind, _, given = headers.get("authorization", "").partition(" ")
    expected = secret
    if kind.lower() == "basic":
        expected = base64.b64encode(secret.encode()).decode()
    elif kind.lower() != "bearer":
        raise refused("it brings no password")
    same(given.strip(), expected)


def signed_by_sendgrid(headers: Mapping[str, str], body: bytes, key: str, now: float) -> None:
    """Check an ECDSA signature over time and body with the public *key* (base64, DER)."""
    stamp = headers.get("x-twilio-email-event-webhook-timestamp", "")
    in_time(stamp, now)
    try:
        public = load_der_public_key(base64.b64decode(key))
        given = base64.b64decode(headers.get("x-twilio-email-event-webhook-signature", ""))
    except ValueError as error:
        raise refused("its signature is wrong") from error
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise refused("the key is none of ECDSA's")
    try:
        public.verify(given, stamp.encode() + body, ec.ECDSA(SHA256()))
    except InvalidSignature as error:
        raise refused("its signature is wrong") from error


def signed_by_svix(headers: Mapping[str, str], body: bytes, secret: str, now: float) -> None:
    """Check a signature of Svix, which Resend uses: HMAC over id, time and body."""
    stamp, identity = headers.get("svix-timestamp", ""), headers.get("svix-id", "")
    in_time(stamp, now)
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError as error:
        raise refused("the secret is no whsec_…") from error
    if not key:  # anybody can sign with an empty key
        raise refused("the secret is no whsec_…")
    words = f"{identity}.{stamp}.".encode() + body
    expected = base64.b64encode(hmac.digest(key, words, "sha256")).decode()
    given = [one.partition(",")[2] for one in headers.get("svix-signature", "").split()[:5]]
    if not any(hmac.compare_digest(one.encode(), expected.encode()) for one in given):
        raise refused("its signature is wrong")


def signed_by_sender(headers: Mapping[str, str], body: bytes, secret: str, now: float) -> None:
    """Check the generic signature: an HMAC over ``X-Mailer-Timestamp``, a dot and the body."""
    stamp = headers.get("x-mailer-timestamp", "")
    in_time(stamp, now)
    same(headers.get("x-mailer-signature", ""), hmac_hex(secret, stamp.encode() + b"." + body))


def signed_by_mailgun(signature: Mapping[str, object], secret: str, now: float) -> None:
    """Check the signature that Mailgun puts into the body."""
    stamp, token = str(signature.get("timestamp", "")), str(signature.get("token", ""))
    in_time(stamp, now)
    same(str(signature.get("signature", "")), hmac_hex(secret, f"{stamp}{token}".encode()))
