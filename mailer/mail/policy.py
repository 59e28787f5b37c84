"""What a campaign wants of its deliveries, versioned: retries, hours, accounts, what is uncertain.

The policy is stored with the campaign as a JSON object. Its keys are read by workers of other versions
too, so a key never changes its meaning and none is taken away; whoever does not know a key passes it
over. Objects without ``"version"`` were written before there was one, and mean the same.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from mailer.errors import PayloadError
from mailer.mail.routing import Routes
from mailer.mail.schedule import Window

VERSION: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """When a deferred recipient is tried again: exponential, jittered, limited.

    The n-th wait is ``first_delay * factor**n`` seconds, at most *max_delay*, moved by up to *jitter* of
    itself either way. After *attempts* tries, or *give_up_after* seconds, no more.
    """

    first_delay: float = 60.0
    factor: float = 2.0
    max_delay: float = 4 * 3600.0
    jitter: float = 0.2
    attempts: int = 20
    give_up_after: float = 2 * 86400.0

    def delay(self, attempt: int, random: Callable[[], float]) -> float:
        """Seconds to wait after the *attempt*-th try (from 1); *random* gives 0 ≤ x < 1."""
        steps = min(attempt - 1, 64)
        delay = min(self.first_delay * self.factor**steps, self.max_delay)
        return delay * (1 + self.jitter * (2 * random() - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignPolicy:
    """How a campaign's messages are to be delivered.

    *resend* says what happens to a message whose reply was lost: it is sent again, or held. *retry*
    holds the values that lie over the worker's own ``[retry]``, by the names of `Retry`'s fields.
    *window* is when the campaign may send, as `Window.parse` reads it. *weight* is its share of the
    workers beside others. *routes* is None where the campaign has one account.
    *stamps* says that a message's Date is when it leaves (`mailer.mail.dating`). What the last version
    queued lacks it: there nothing tells its Dates from the callers' own, and they stay. *mail* is what
    kind of mail it sends (`mailer.mail.barring.scopes`), empty where an older version wrote it.
    """

    resend: bool = False
    retry: Mapping[str, float] = field(default_factory=dict)
    window: str | None = None
    weight: float = 1.0
    routes: Routes | None = None
    stamps: bool = False
    mail: str = ""

    def retry_over(self, configured: Retry) -> Retry:
        """The campaign's own values over those that the worker has *configured*."""
        own: dict[str, Any] = dict(self.retry)
        return replace(configured, **own)

    def opens(self, now: float) -> float:
        """When the campaign may send: *now*, or a later time."""
        return Window.parse(self.window).next_open(now) if self.window else now

    def encode(self) -> str:
        """Write it down."""
        return json.dumps(
            {
                "version": VERSION,
                "on_uncertain": "resend" if self.resend else "hold",
                "retry": dict(self.retry),
                "window": self.window,
                "weight": self.weight,
                "routes": asdict(self.routes) if self.routes else None,
                "stamps": self.stamps,
                **({"mail": self.mail} if self.mail else {}),
            }
        )

    @classmethod
    def decode(cls, text: bytes | str) -> "CampaignPolicy":
        """Read what this version wrote, or an older or newer one. Raises `PayloadError`."""
        try:
            stored: dict[str, Any] = json.loads(text or "{}")
            routes = stored.get("routes")
            window = stored.get("window") or None
            if window:
                Window.parse(window)
            known = Retry.__dataclass_fields__
            return cls(
                resend=stored.get("on_uncertain") == "resend",
                retry={k: v for k, v in (stored.get("retry") or {}).items() if k in known},
                window=window,
                weight=float(stored.get("weight") or 1.0),
                routes=Routes(**routes) if routes else None,
                stamps=stored.get("stamps") is True,
                mail=str(stored.get("mail") or ""),
            )
        except (ValueError, TypeError, AttributeError) as exc:
            raise PayloadError(f"the campaign's policy cannot be read: {exc}") from exc
