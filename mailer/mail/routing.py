"""Which of a campaign's accounts sends to a recipient.

Pure and without memory: by weighted rendezvous hashing every producer and worker comes to the same
answer, for the same recipient, in any order. When an account drops out, only its own recipients go
elsewhere, spread over the others by weight; when it is back, they come back.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from math import log
from typing import Final

from mailer.errors import InputError

_RANGE: Final = 2.0**64


@dataclass(frozen=True, slots=True)
class Routes:
    """The accounts of a campaign by *weight*, and *pins*: recipient domain → account.

    A pin of ``example.org`` holds for its subdomains too. Raises `InputError` for an account without
    weight, or a pin to one that the campaign does not have.
    """

    weights: Mapping[str, float]
    pins: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.weights:
            raise InputError("a campaign needs an account: accounts is empty")
        for account, weight in self.weights.items():
            if not weight > 0:
                raise InputError(f"accounts: {account}: the weight must be above 0, got {weight!r}")
        for domain, account in self.pins.items():
            if account not in self.weights:
                known = ", ".join(sorted(self.weights))
                raise InputError(
                    f"pins: {domain} is to go through {account!r}, which is not one of {known}"
                )

    @classmethod
    def single(cls, account: str) -> "Routes":
        """All recipients through one account."""
        return cls({account: 1.0})

    def pinned(self, domain: str) -> str | None:
        """The account to which *domain*, or a domain above it, is pinned."""
        rest = domain.lower()
        while rest:
            if rest in self.pins:
                return self.pins[rest]
            rest = rest.partition(".")[2]
        return None

    def route(self, recipient: bytes, domain: str, unusable: Collection[str] = ()) -> str:
        """The account for the recipient with that fingerprint and mail domain.

        *unusable* accounts, stopped or out of quota, are passed over while there is another; where
        there is none the answer is as if all were usable: the recipient waits for that one.
        """
        pin = self.pinned(domain)
        if pin is not None and pin not in unusable:
            return pin
        usable = [account for account in self.weights if account not in unusable]
        if not usable and pin is not None:
            return pin
        if len(usable) == 1:
            return usable[0]
        return max(
            usable or self.weights, key=lambda account: (self._draw(account, recipient), account)
        )

    def _draw(self, account: str, recipient: bytes) -> float:
        """A lot whose highest is drawn by each account in proportion to its weight."""
        digest = blake2b(recipient, digest_size=8, key=account.encode()[:64]).digest()
        return self.weights[account] / -log((int.from_bytes(digest, "big") + 0.5) / _RANGE)
