"""What a server offers: the reply to EHLO, read once a session."""

from collections.abc import Collection
from dataclasses import dataclass

from mailer.smtp.reply import Reply

MAX_DIGITS = 20
"""Digits of a size or a limit that are read."""


@dataclass(frozen=True, slots=True)
class Extensions:
    """The service extensions of one session (RFC 5321 section 4.1.1.1).

    *size* is the largest message in octets, *mail_max* how many transactions a session may have
    (LIMITS, RFC 9422); both are None where the server named no limit.
    """

    keywords: frozenset[str] = frozenset()
    mechanisms: tuple[str, ...] = ()
    size: int | None = None
    mail_max: int | None = None

    def __contains__(self, keyword: str) -> bool:
        return keyword in self.keywords

    @classmethod
    def read(cls, reply: Reply, disabled: Collection[str] = ()) -> "Extensions":
        """Read a positive *reply* to EHLO, overlooking the *disabled* keywords."""
        overlooked = {keyword.upper() for keyword in disabled}
        offered: dict[str, list[str]] = {}
        for line in reply.lines[1:]:
            # Old servers write "AUTH=PLAIN LOGIN", some beside the right form.
            keyword, *values = line.upper().replace("AUTH=", "AUTH ", 1).split() or [""]
            if keyword and keyword not in overlooked:
                offered.setdefault(keyword, []).extend(values)
        return cls(
            keywords=frozenset(offered),
            mechanisms=tuple(dict.fromkeys(offered.get("AUTH", ()))),
            size=_number(offered.get("SIZE", ())),
            mail_max=_limit(offered.get("LIMITS", ()), "MAILMAX"),
        )


def _number(values: Collection[str]) -> int | None:
    for value in values:
        if value.isascii() and value.isdigit():
            # RFC 1870 section 3 knows 20 digits. More is no limit that a message could reach.
            return int(value) or None if len(value) <= MAX_DIGITS else None
    return None


def _limit(values: Collection[str], name: str) -> int | None:
    # Unknown and malformed limits are overlooked (RFC 9422 section 4).
    return _number(
        [value.removeprefix(f"{name}=") for value in values if value.startswith(f"{name}=")]
    )
