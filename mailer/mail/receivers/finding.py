"""What a receiver would object to, in which words, and what mends it."""

from dataclasses import dataclass
from typing import Final, Literal

Level = Literal["error", "warning", "advice", "unknown"]

# What each receiver answers with; docs/deliverability.md has the same table.
SPF_FAILED: Final = 'Gmail "550-5.7.27", Outlook "550 5.7.515"'
DKIM_FAILED: Final = 'Gmail "550-5.7.30", Outlook "550 5.7.515"'
DMARC_FAILED: Final = 'Gmail "550-5.7.40", Outlook "550 5.7.515", Yahoo "554 5.7.9"'
UNALIGNED: Final = 'Gmail "550-5.7.32", Outlook "550 5.7.515", Yahoo "554 5.7.9"'


@dataclass(frozen=True, slots=True)
class Finding:
    """One objection: how grave, by which *rule*, what is wrong, what receivers *say*, what to *do*.

    *unknown* is what could not be found out; it is never an objection. *says* is empty where no
    receiver refuses for it.
    """

    level: Level
    rule: str
    wrong: str
    says: str
    do: str

    def __str__(self) -> str:
        """In one line, for people."""
        says = f"; receivers say {self.says}" if self.says else ""
        return f"{self.wrong}{says}; {self.do}"
