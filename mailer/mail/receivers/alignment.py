"""Whether two domains belong together, as DMARC's relaxed mode has it (RFC 7489 section 3.1).

The organizational domain is the last two labels, or three below a suffix such as ``co.uk``. The whole
list of public suffixes is longer and changes each week: below one that is not known here two strangers
look like one organization, so a fault may be passed over, and none is ever invented.
"""

from typing import Final

import idna

_SECOND_LEVEL: Final = frozenset({"ac", "co", "com", "edu", "gov", "go", "ne", "net", "or", "org"})


def domain_of(mailbox: str) -> str:
    """Return the domain of *mailbox*, which may have a display name, as it stands in the DNS."""
    domain = mailbox.rpartition("@")[2].strip().strip("<>").rstrip(".").lower()
    try:
        return domain if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii")
    except UnicodeError:
        return domain


def organization(domain: str) -> str:
    """Return the organizational domain of *domain*."""
    labels = domain.rstrip(".").lower().split(".")
    country = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL
    return ".".join(labels[-3 if country else -2 :])


def aligned(one: str, other: str) -> bool:
    """Whether both are of one organization."""
    return organization(one) == organization(other)
