"""Which mail an entry of the suppression list is about: all, all bulk mail, or one list's.

An entry has a scope, and so has mail: a receipt is `ALL` mail, which only entries for all stop; a
campaign without a list is `BULK`; a campaign of a list has its List-ID. `barring.lua` says the same.
"""

import re
from typing import Final

from mailer.errors import InputError

ALL: Final = "all"
"""Every mail, also a receipt: a mailbox that does not exist, a complaint, an entry by hand."""

BULK: Final = "bulk"
"""Every campaign: somebody who wants no newsletter any more, but still gets receipts."""

_LIST_ID: Final = re.compile(r"[^\s<>@\"]+\.[^\s<>@\".]+")


def list_of(field: str | None) -> str:
    """The identifier in a List-ID field, in lower case: ``Shop news <news.shop.example>``; or nothing."""
    inner = (field or "").rpartition("<")[2].partition(">")[0].strip().lower()
    return inner if _LIST_ID.fullmatch(inner) else ""


def mail_of(list_id: str | None, *, bulk: bool = True) -> str:
    """What kind of mail a campaign with that List-ID sends."""
    return (list_of(list_id) or BULK) if bulk else ALL


def applies(scope: str, mail: str) -> bool:
    """Whether an entry of *scope* stops *mail*."""
    return scope in (ALL, mail) or (scope == BULK and mail != ALL)


def checked(scope: str) -> str:
    """*scope* as entries have it. Raises `InputError` for what is neither all, bulk nor a List-ID."""
    if scope in (ALL, BULK):
        return scope
    if found := list_of(scope):
        return found
    raise InputError(
        f"scope {scope!r}: write all, bulk, or a List-ID such as news.shop.example (with a dot)"
    )
