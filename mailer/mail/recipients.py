"""Who gets a message, out of which row, and what is wrong with it.

A row is what the caller has: a mapping with at least ``email``. It becomes a `Recipient` or a
`Rejected`; bad data is a value here, never an exception, so that one bad line in a list of a
million stops nothing and is named in the receipt.

Two rows are the same recipient when their mailboxes are equal after Unicode normalisation (NFC)
and simple case folding (a letter for a letter: ``ß`` is not ``ss``). RFC 5321 section 2.4 lets a server
tell ``Ada@`` from ``ada@``, but none that receives bulk mail does, and a person who is in a list twice
wants one copy. What is put in the envelope keeps the local part as it was given.
"""

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from mailer.mail.lists.columns import BrokenRow, email_columns
from mailer.mail.rows import read_rows

if TYPE_CHECKING:
    from email_validator import ValidatedEmail

__all__ = ["BrokenRow", "Recipient", "Rejected", "fingerprint", "parse", "read_rows"]

# RFC 5321 section 4.5.3.1: a path holds at most 256 octets, of which the angle brackets are two.
MAX_MAILBOX: Final = 254
MAX_LOCAL_PART: Final = 64

# A mailbox that needs no further look: an ASCII dot-atom at an ASCII domain of two labels or more,
# the last of which has no digit. What does not match goes the long way through email-validator (36
# us instead of 1); what matches is what email-validator accepts, as a property test says.
_PLAIN: Final = re.compile(
    r"(?=.{1,254}\Z)(?=[^@]{1,64}@)"
    r"([A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*)"
    r"@((?:(?!..--)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}|localhost)"
)
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# Characters without width, and those that turn the direction of writing: in an address they make it
# look like another one, and nobody typed them on purpose.
_INVISIBLE: Final = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
_BREAKS: Final = re.compile("[\t ]*(?:\r\n|[\r\n\x0b\x0c\x85\u2028\u2029])[\t ]*|\t+")
# "Ada Lovelace" <ada@example.org>, as address books copy it.
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_LINE_BREAK: Final = "the line break in the name was made a blank"
_TAB: Final = "the tab in the name was made a blank"


@dataclass(frozen=True, slots=True)
class Recipient:
    """One person's row, checked.

    *email* is the address as given, trimmed. *mailbox* is what goes into the envelope: the domain
    as a lower-case A-label, the local part untouched. *key* names the recipient in the ledger:
    eight octets, equal for two spellings of one mailbox. *digest* (31 bits) changes when any field
    of the row changes; it does not depend on the order of the fields, the process or the version
    of Python. *row* is the row's number in the input, from 1. *smtputf8* says that the local part
    is not ASCII (RFC 6531). *note* is what was changed in the row so that it can be sent.
    """

    email: str
    mailbox: str
    key: bytes
    name: str | None
    fields: Mapping[str, object] = field(repr=False)
    row: int
    digest: int
    smtputf8: bool = False
    note: str = ""

    @property
    def fingerprint(self) -> bytes:
        """The *key*, as the ledger calls it."""
        return self.key

    def __repr__(self) -> str:
        return f"<Recipient {self.key.hex()} of row {self.row}>"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that names nobody to send to: its number, why, and the kind of fault."""

    row: int
    reason: str
    kind: str = "invalid"


def parse(  # noqa: PLR0911 - one return for each thing that can be wrong
    row: Mapping[str, object] | BrokenRow, number: int
) -> Recipient | Rejected:
    """Judge one row of a list; *number* counts from 1.

    The address is read from the field ``email``, in any case, or ``e-mail``, ``Email Address``; the
    display name from ``name``. Nothing is looked up in the DNS. Never raises for bad data.
    """
    if isinstance(row, BrokenRow):
        return Rejected(number, row.reason)
    fields = row if "email" in row else _with_email(row)
    if isinstance(fields, Rejected):
        return Rejected(number, fields.reason)
    value = fields.get("email") or ""
    if not isinstance(value, str):
        return Rejected(number, f"the email address is a {type(value).__name__}, not text")
    email = value.strip()
    name = _name(fields["name"] if "name" in fields else _named(fields))
    if email.endswith(">"):
        fields, name, email = _apart(fields, name, email)
    judged = _judge(email)
    if isinstance(judged, str):
        return Rejected(number, judged)
    mailbox, smtputf8 = judged
    digest = _digest(fields)
    if isinstance(digest, str):
        return Rejected(number, digest)
    note = ""
    if name is not None and _CONTROL.search(name):
        name, fields, note = _in_one_line(name, fields)
        if _CONTROL.search(name):
            return Rejected(number, "the name holds a control character")
    return Recipient(
        email, mailbox, fingerprint(mailbox), name, fields, number, digest, smtputf8, note
    )


def fingerprint(mailbox: str) -> bytes:
    """Return the eight octets that name a mailbox in the ledger and in the suppression list."""
    if mailbox.isascii():
        folded = mailbox.lower()
    else:
        # Simple folding, a character for a character: what folds to two (ß to ss) is lowered.
        composed = unicodedata.normalize("NFC", mailbox)
        folded = "".join([c.casefold() if len(c.casefold()) == 1 else c.lower() for c in composed])
        folded = unicodedata.normalize("NFC", folded)
    return blake2b(folded.encode(), digest_size=8).digest()


def _with_email(row: Mapping[str, object]) -> Mapping[str, object] | Rejected:
    found = email_columns(row)
    if len(found) > 1:
        both = " and ".join(map(repr, found[:3]))
        return Rejected(
            0, f"the row has {len(found)} fields with an address, {both}: name one email"
        )
    return {**row, "email": row[found[0]]} if found else row


def _named(fields: Mapping[str, object]) -> object:
    """Return the display name out of a column ``Name`` or ``NAME``."""
    for field_name, value in fields.items():
        if isinstance(field_name, str) and field_name.lower() == "name":
            return value
    return None


def _apart(
    fields: Mapping[str, object], name: str | None, email: str
) -> tuple[Mapping[str, object], str | None, str]:
    """Take ``Ada <ada@example.org>`` apart; the row's own name wins over the one beside the address."""
    # By hand: a pattern with white space around each part tries it in all parts, for minutes.
    before, bracket, mailbox = email[:-1].rpartition("<")
    before = before.strip()
    quoted = _QUOTED.fullmatch(before)
    if not bracket or re.search(r"[>\s]", mailbox) or not (quoted or set(before).isdisjoint('"<>')):
        return fields, name, email
    beside = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else before
    return {**fields, "email": mailbox}, name or _name(beside), mailbox


def _in_one_line(name: str, fields: Mapping[str, object]) -> tuple[str, Mapping[str, object], str]:
    """Make line breaks and tabs in the display name blanks, in the row's field too."""
    one_line = _BREAKS.sub(" ", name)
    changed = {
        field_name: one_line if isinstance(value, str) and value.strip() == name else value
        for field_name, value in fields.items()
    }
    return one_line, changed, _LINE_BREAK if len(name.splitlines()) > 1 else _TAB


def _name(value: object) -> str | None:
    """Return the display name, or None; a name that is no text (a number, a list) is none."""
    if not isinstance(value, str):
        return None
    return value.strip() or None


def _judge(email: str) -> tuple[str, bool] | str:
    """Return the mailbox and whether it wants SMTPUTF8, or a sentence about what is wrong."""
    plain = _PLAIN.fullmatch(email)
    if plain is not None:
        local, domain = plain.groups()
        return f"{local}@{domain.lower()}", False
    if not email:
        return "the row has no email address"
    if _CONTROL.search(email):
        return "the email address holds a line break or another control character"
    invisible = _INVISIBLE.search(email)
    if invisible:
        return f"the email address holds an invisible character (U+{ord(invisible[0]):04X})"
    # Loaded for an address that is not plain: who only looks at campaigns does without it.
    from email_validator import validate_email  # noqa: PLC0415

    try:
        valid = validate_email(
            email,
            allow_smtputf8=True,
            allow_quoted_local=True,
            check_deliverability=False,
            globally_deliverable=False,
        )
    except ValueError as error:
        return f"the email address is malformed: {str(error).rstrip('.')}"
    return _mailbox(valid)


def _mailbox(valid: "ValidatedEmail") -> tuple[str, bool] | str:
    domain = valid.ascii_domain.lower()
    if "." not in domain:
        return "the email address is malformed: the part after the @-sign has no dot"
    if domain.rpartition(".")[2].isdigit():
        return "the email address is malformed: the domain ends in a number"
    if len(valid.local_part.encode()) > MAX_LOCAL_PART:
        return "the email address is malformed: more than 64 octets before the @-sign"
    mailbox = f"{valid.local_part}@{domain}"
    if len(mailbox.encode()) > MAX_MAILBOX:
        return "the email address is malformed: it is longer than 254 octets"
    return mailbox, not valid.local_part.isascii()


def _digest(fields: Mapping[str, object]) -> int | str:
    """Return 31 bits of a hash over *fields* in canonical JSON, or what is wrong with a field.

    Values that JSON does not know (dates, decimals) count by type and text; field names that
    cannot be sorted (mixed types) count by their text.
    """
    try:
        text = _encoded(fields)
        if "\\ud" in text:
            for field_name, value in fields.items():
                if _SURROGATE.search(
                    json.dumps([field_name, value], ensure_ascii=False, default=str)
                ):
                    return (
                        f"the field {_shown(field_name)} holds half a character (a lone surrogate)"
                    )
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits, a list that holds itself.
        return f"a field cannot be written down ({error})"
    return int.from_bytes(blake2b(text.encode(), digest_size=4).digest(), "big") & 0x7FFF_FFFF


def _shown(field_name: object) -> str:
    return ascii(field_name)[:60]


def _encoded(fields: Mapping[str, object]) -> str:
    try:
        return _ENCODE(fields if isinstance(fields, dict) else dict(fields))
    except TypeError:
        return _ENCODE({str(name): value for name, value in fields.items()})


def _plain_value(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): inner for name, inner in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    if isinstance(value, list | tuple):
        return list(value)
    return f"{type(value).__name__}:{value}"


_ENCODE: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), default=_plain_value, ensure_ascii=True
).encode
