"""Amazon SNS: whose notification it is, before anything else is believed."""

import base64
import binascii
import re
from collections.abc import Callable, Collection, Mapping
from typing import Final
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.x509 import load_pem_x509_certificate

from mailer.feedback.webhooks.event import words
from mailer.feedback.webhooks.proof import refused

_HOST: Final = re.compile(r"sns\.[a-z0-9-]{3,30}\.amazonaws\.com(?:\.cn)?\Z")
_NOTIFICATION: Final = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_SUBSCRIPTION: Final = (
    "Message",
    "MessageId",
    "SubscribeURL",
    "Timestamp",
    "Token",
    "TopicArn",
    "Type",
)


def verify(
    envelope: Mapping[str, object], topics: Collection[str], certificate: Callable[[str], bytes]
) -> None:
    """Raise `InputError` unless *envelope* is a notification of one of *topics*, signed by SNS.

    The topic is looked at first, then the certificate's host: nothing is fetched for a stranger.
    *certificate* fetches the PEM at an address.
    """
    if words(envelope.get("TopicArn")) not in topics:
        raise refused("its topic is not one of ours")
    address = words(envelope.get("SigningCertURL") or envelope.get("SigningCertUrl"))
    if not _is_amazon_s(address):
        raise refused("its certificate lies on a foreign host")
    hash_ = SHA256() if words(envelope.get("SignatureVersion")) == "2" else SHA1()  # noqa: S303 - version 1 of SNS
    try:
        key = load_pem_x509_certificate(certificate(address)).public_key()
        if not isinstance(key, rsa.RSAPublicKey):
            raise refused("its certificate holds no RSA key")
        given = base64.b64decode(words(envelope.get("Signature")))
        key.verify(given, _signed(envelope), padding.PKCS1v15(), hash_)
    except (ValueError, binascii.Error, InvalidSignature) as error:
        raise refused("its signature is wrong") from error


def _is_amazon_s(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:  # a bracket that belongs to no host
        return False
    return (
        parts.scheme == "https"
        and _HOST.match(parts.netloc) is not None
        and parts.path.endswith(".pem")
    )


def _signed(envelope: Mapping[str, object]) -> bytes:
    """The text that is signed: names and values, a line each, in this order."""
    is_notification = envelope.get("Type") == "Notification"
    lines = [
        f"{name}\n{envelope[name]}\n"
        for name in (_NOTIFICATION if is_notification else _SUBSCRIPTION)
        if envelope.get(name) is not None
    ]
    return "".join(lines).encode()
