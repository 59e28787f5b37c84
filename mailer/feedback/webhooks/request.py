"""Whether a request is a provider's, and what it says."""

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from mailer.feedback.webhooks import proof, sns
from mailer.feedback.webhooks.event import Event, table
from mailer.feedback.webhooks.providers import READERS

MAX_BODY: Final = 1 << 20

_HALF: Final = re.compile(r"\\u[dD][89a-fA-F]")
"""How JSON writes half of a character beyond the first plane; both halves stand so for a whole one."""

_BY_PASSWORD: Final = frozenset(
    {
        "brevo",
        "mailersend",
        "mailjet",
        "mailtrap",
        "mandrill",
        "postal",
        "postmark",
        "sparkpost",
        "unisender_go",
    }
)
"""Providers that sign nothing, or nothing that we check: a password in the webhook's URL proves them."""


def _nothing(_address: str) -> bytes:
    raise proof.refused("no certificate can be fetched here")


@dataclass(frozen=True, slots=True)
class Hook:
    """What is known of a provider's webhook.

    *secret* is its signing key (SendGrid's public key), or ``user:password``. For Amazon SES, *topics*
    are the SNS topics that are ours and *certificate* fetches the PEM at an address.
    """

    provider: str
    secret: str = field(default="", repr=False)
    topics: Collection[str] = ()
    certificate: Callable[[str], bytes] = field(default=_nothing, repr=False)


def events(hook: Hook, headers: Mapping[str, str], body: bytes, now: float) -> list[Event]:
    """What a request of *hook*'s provider says; raises `InputError` for one that is not believed.

    *headers* may be in any case; *now* are seconds since the epoch.
    """
    if len(body) > MAX_BODY:
        raise proof.refused(f"its body is longer than {MAX_BODY} octets")
    known = {name.lower(): value for name, value in headers.items()}
    if hook.provider == "amazon_ses":
        payload = _sns(hook, body)
    else:
        _prove(hook, known, body, now)
        payload = _json(body)
    if hook.provider == "mailgun":
        proof.signed_by_mailgun(table(table(payload).get("signature")), hook.secret, now)
    return READERS[hook.provider](payload)


def _prove(hook: Hook, headers: Mapping[str, str], body: bytes, now: float) -> None:
    match hook.provider:
        case "sendgrid":
            proof.signed_by_sendgrid(headers, body, hook.secret, now)
        case "resend":
            proof.signed_by_svix(headers, body, hook.secret, now)
        case "generic":
            proof.signed_by_sender(headers, body, hook.secret, now)
        case "mailgun":
            pass  # it signs inside the body
        case provider if provider in _BY_PASSWORD:
            proof.password(headers, hook.secret)
        case _:
            raise proof.refused("its provider is not known")


def _sns(hook: Hook, body: bytes) -> object:
    envelope = table(_json(body))
    sns.verify(envelope, hook.topics, hook.certificate)
    if envelope.get("Type") != "Notification":
        return []  # a subscription is confirmed by whoever made it
    return _json(str(envelope.get("Message", "")).encode())


def _json(body: bytes) -> object:
    try:
        text = body.decode(json.detect_encoding(body), "replace")
        found = json.loads(text)
        if _HALF.search(text):
            # A text that was cut in the middle of an emoji: half of it cannot be written anywhere.
            found = json.loads(json.dumps(found, ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError) as error:
        raise proof.refused("its body is no JSON, or is nested too deeply") from error
    return found
