"""A provider's request is believed for its proof alone, and read into one set of words."""

import base64
import hmac
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from mailer.errors import InputError, ProofUnavailableError
from mailer.feedback import Kind, Reason
from mailer.feedback.hooks import certificate_at
from mailer.feedback.webhooks.event import What
from mailer.feedback.webhooks.providers import READERS
from mailer.feedback.webhooks.request import MAX_BODY, Hook, events

NOW = 1_772_500_000.0
ADA = "ada@example.org"
TOPIC = "arn:aws:sns:eu-west-1:1:bounces"
PEM = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem"

SAID = "550 5.1.1 no such user"
BOUNCES = {
    "amazon_ses": {
        "notificationType": "Bounce",
        "bounce": {
            "bounceType": "Permanent",
            "bouncedRecipients": [{"emailAddress": ADA, "diagnosticCode": f"smtp; {SAID}"}],
        },
        "mail": {"messageId": "m-1", "destination": [ADA]},
    },
    "brevo": {"event": "hard_bounce", "email": ADA, "reason": SAID},
    "generic": {"events": [{"event": "bounced", "recipient": ADA, "response": SAID}]},
    "mailgun": {
        "event-data": {
            "event": "failed",
            "severity": "permanent",
            "recipient": ADA,
            "delivery-status": {"code": 550, "message": "5.1.1 no such user"},
        }
    },
    "mailjet": [{"event": "bounce", "email": ADA, "hard_bounce": True, "comment": SAID}],
    "postmark": {
        "RecordType": "Bounce",
        "Type": "HardBounce",
        "Email": ADA,
        "Details": f"smtp;{SAID}",
    },
    "resend": {
        "type": "email.bounced",
        "data": {"to": [f"Ada <{ADA}>"], "bounce": {"type": "Permanent", "message": SAID}},
    },
    "sendgrid": [{"event": "bounce", "email": ADA, "reason": SAID, "type": "bounce"}],
    "sparkpost": [
        {
            "msys": {
                "message_event": {
                    "type": "bounce",
                    "bounce_class": "10",
                    "rcpt_to": ADA,
                    "raw_reason": SAID,
                }
            }
        }
    ],
}


@pytest.mark.parametrize("provider", BOUNCES)
def test_a_bounce_is_read_alike_from_everyone(provider):
    (event,) = READERS[provider](BOUNCES[provider])
    assert (event.what, event.recipient) == (What.BOUNCED, ADA)
    report = event.report()
    assert (report.kind, report.recipient, report.status) == (Kind.BOUNCE, ADA, "5.1.1")
    assert (report.reason, report.permanent) == (Reason.MAILBOX_UNKNOWN, True)


@pytest.mark.parametrize(
    "half", [rb"\ud83d", rb"\uD83D", b"\xed\xa0\xbd", b"\xff"], ids=["low", "high", "raw", "octet"]
)
def test_a_text_that_was_cut_in_the_middle_of_a_character_can_be_written_down(half):
    body = b'{"RecordType": "Bounce", "Email": "ada@example.org", "Details": "gone %b"}' % half
    (event,) = events(Hook("postmark", "us:them"), basic("us:them"), body, NOW)
    assert event.recipient == ADA
    assert event.response.encode().startswith(b"gone ")


def test_a_whole_character_stays_whole():
    body = rb'{"RecordType": "Bounce", "Email": "ada@example.org", "Details": "gone \ud83d\ude00"}'
    (event,) = events(Hook("postmark", "us:them"), basic("us:them"), body, NOW)
    assert event.response == "gone \N{GRINNING FACE}"


def test_half_a_character_in_what_is_signed_is_a_wrong_signature():
    signature = {"timestamp": str(NOW), "token": "\ud83d", "signature": "\ud83d"}
    with pytest.raises(InputError, match="signature"):
        events(Hook("mailgun", "key"), {}, json.dumps({"signature": signature}).encode(), NOW)


@pytest.mark.parametrize("provider", READERS)
@pytest.mark.parametrize(
    "payload", [None, 1, "x", [], {}, [None], [[[]]], {"data": 5}, {"msys": []}]
)
def test_no_reader_raises_on_a_strange_payload(provider, payload):
    for event in READERS[provider](payload):
        event.report()


# How each provider proves a request.


def basic(secret):
    return {"Authorization": "Basic " + base64.b64encode(secret.encode()).decode()}


def signed(provider, body, key, at=NOW):
    """Headers of a right request, and the secret that proves it."""
    stamp = str(int(at))
    if provider == "sendgrid":
        signature = key.sign(stamp.encode() + body, ec.ECDSA(SHA256()))
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        prefix = "X-Twilio-Email-Event-Webhook-"
        headers = {
            f"{prefix}Signature": base64.b64encode(signature).decode(),
            f"{prefix}Timestamp": stamp,
        }
        return headers, base64.b64encode(public).decode()
    if provider == "resend":
        raw = hmac.digest(b"key", f"id.{stamp}.".encode() + body, "sha256")
        given = "v1,bm8= v1," + base64.b64encode(raw).decode()
        headers = {"svix-id": "id", "svix-timestamp": stamp, "svix-signature": given}
        return headers, "whsec_" + base64.b64encode(b"key").decode()
    if provider == "generic":
        given = hmac.digest(b"key", f"{stamp}.".encode() + body, "sha256").hex()
        return {"X-Mailer-Timestamp": stamp, "X-Mailer-Signature": given}, "key"
    return basic("user:password"), "user:password"


@pytest.fixture(scope="module")
def key():
    return ec.generate_private_key(ec.SECP256R1())


PROVEN = ["sendgrid", "resend", "generic", "postmark", "brevo", "mailjet", "sparkpost"]


@pytest.mark.parametrize("provider", PROVEN)
def test_a_request_with_its_proof_is_read(provider, key):
    body = json.dumps(BOUNCES[provider]).encode()
    headers, secret = signed(provider, body, key)
    (event,) = events(Hook(provider, secret), headers, body, NOW)
    assert event.recipient == ADA


@pytest.mark.parametrize("provider", PROVEN)
def test_a_request_without_its_proof_is_refused(provider, key):
    body = json.dumps(BOUNCES[provider]).encode()
    _, secret = signed(provider, body, key)
    wrong, _ = signed(provider, body + b" ", key)
    for headers in ({}, basic("user:wrong"), {} if provider in PROVEN[3:] else wrong):
        with pytest.raises(InputError, match="webhook refused"):
            events(Hook(provider, secret), headers, body, NOW)


@pytest.mark.parametrize("provider", PROVEN[:3])
def test_an_old_request_is_refused(provider, key):
    body = json.dumps(BOUNCES[provider]).encode()
    headers, secret = signed(provider, body, key)
    assert events(Hook(provider, secret), headers, body, NOW + 299)
    with pytest.raises(InputError, match="time"):
        events(Hook(provider, secret), headers, body, NOW + 301)


def test_mailgun_signs_inside_the_body():
    given = hmac.digest(b"key", f"{int(NOW)}token".encode(), "sha256").hex()
    signature = {"timestamp": str(int(NOW)), "token": "token", "signature": given}
    body = json.dumps({**BOUNCES["mailgun"], "signature": signature}).encode()
    assert events(Hook("mailgun", "key"), {}, body, NOW)
    with pytest.raises(InputError, match="signature"):
        events(Hook("mailgun", "another"), {}, body, NOW)


@pytest.mark.parametrize("body", [b"no json", b"[" * 500_000, b"x" * (MAX_BODY + 1)])
def test_what_is_no_json_or_too_large_is_refused(body):
    with pytest.raises(InputError, match="webhook refused"):
        events(Hook("postmark", "u:p"), basic("u:p"), body, NOW)


# Amazon's.


@pytest.fixture(scope="module")
def amazon():
    """A key, and its certificate as PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    start = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), 1, start, start + timedelta(days=1)
    )
    return key, builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


def notification(key, version="2", **changes):
    envelope = {
        "Type": "Notification",
        "MessageId": "1",
        "TopicArn": TOPIC,
        "Message": json.dumps(BOUNCES["amazon_ses"]),
        "Timestamp": "2026-03-03T00:00:00.000Z",
        "SigningCertURL": PEM,
        "SignatureVersion": version,
    }
    names = ("Message", "MessageId", "Timestamp", "TopicArn", "Type")
    words = "".join(f"{name}\n{envelope[name]}\n" for name in names).encode()
    hash_ = SHA256() if version == "2" else SHA1()
    envelope["Signature"] = base64.b64encode(key.sign(words, padding.PKCS1v15(), hash_)).decode()
    return json.dumps({**envelope, **changes}).encode()


@contextmanager
def answering(octets: bytes) -> Iterator[int]:
    """A port on which the first request is answered by *octets*, and then nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(octets)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_notification_of_our_topic_is_read(amazon, version):
    key, pem = amazon
    hook = Hook("amazon_ses", topics=[TOPIC], certificate=lambda _: pem)
    (event,) = events(hook, {}, notification(key, version), NOW)
    assert (event.recipient, event.message_id) == (ADA, "m-1")


@pytest.mark.parametrize(
    "changes",
    [
        {"TopicArn": "arn:aws:sns:eu-west-1:2:foreign"},
        {"SigningCertURL": "https://sns.eu-west-1.amazonaws.com.evil.example/a.pem"},
        {"SigningCertURL": "http://sns.eu-west-1.amazonaws.com/a.pem"},
        {"SigningCertURL": "https://evil.example/sns.eu-west-1.amazonaws.com/a.pem"},
        {"SigningCertURL": "https://[sns.eu-west-1.amazonaws.com/a.pem"},
    ],
)
def test_nothing_is_fetched_for_a_stranger(amazon, changes):
    fetched = []
    hook = Hook("amazon_ses", topics=[TOPIC], certificate=lambda at: fetched.append(at) or b"")
    with pytest.raises(InputError, match="webhook refused"):
        events(hook, {}, notification(amazon[0], **changes), NOW)
    assert fetched == []


ANSWERS = {
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "cut short": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n-----BEGIN",
    "a proxy's page": b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
    "a wrong chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "an endless line": b"HTTP/1.1 200 " + b"x" * 70_000,
    "busy": b"HTTP/1.1 503 busy\r\nContent-Length: 0\r\n\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_certificate_that_cannot_be_had_now_is_asked_for_again(answer):
    """A refusal would end it: Amazon never repeats what was answered 4xx, and the bounce is lost."""
    with (
        answering(ANSWERS[answer]) as port,
        pytest.raises(ProofUnavailableError, match="certificate"),
    ):
        certificate_at(f"http://127.0.0.1:{port}/a.pem")


@pytest.mark.parametrize("path", ["a.pem", "a%0d%0ab.pem"])
def test_a_certificate_that_is_not_there_proves_nothing(path):
    with (
        answering(b"HTTP/1.1 404 no\r\nContent-Length: 0\r\n\r\n") as port,
        pytest.raises(InputError, match="webhook refused"),
    ):
        certificate_at(f"http://127.0.0.1:{port}/{path}")


@pytest.mark.parametrize("path", ["a b.pem", "ä.pem", "a\x00.pem", "a\r\nHost: x.pem"])
def test_an_address_that_is_none_is_asked_nowhere(path):
    with pytest.raises(InputError, match="webhook refused"):
        certificate_at(f"http://127.0.0.1:1/{path}")


def test_a_notification_that_was_changed_is_refused(amazon):
    key, pem = amazon
    hook = Hook("amazon_ses", topics=[TOPIC], certificate=lambda _: pem)
    with pytest.raises(InputError, match="signature"):
        events(hook, {}, notification(key, Message="{}"), NOW)
