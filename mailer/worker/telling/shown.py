"""What the application sees of an event, and of several events in one delivery."""

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from mailer.mail.event import LATER, Event


def shown(event: Event) -> dict[str, Any]:
    """The event as docs/events.md describes it: fields may be added, none changes its meaning."""
    came_back = event.outcome in LATER
    return {
        "id": event.identifier,
        "kind": event.outcome,
        "at": event.at,
        "campaign": event.campaign,
        "position": event.position if event.position >= 0 else None,
        "mailbox": event.mailbox,
        "message_id": event.message_id,
        "account": event.account,
        "attempt": 0 if came_back else event.attempt,
        "stage": event.stage,
        "code": event.code,
        "reply": event.reply,
        "reason": event.reason,
        "permanent": event.permanent,
    }


def delivery(events: Sequence[Mapping[str, Any]]) -> bytes:
    """The body with *events*, JSON in UTF-8: the same events make the same body, with the same id."""
    named = "\n".join(str(one["id"]) for one in events).encode()
    identifier = f"dlv_{blake2b(named, digest_size=16).hexdigest()}"
    return json.dumps({"id": identifier, "events": list(events)}, ensure_ascii=False).encode()
