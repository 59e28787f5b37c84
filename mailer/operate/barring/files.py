"""How lists of people who get no mail are written: ours, and those that other mailers export.

What an export is, its columns say. Who is no more than disabled there, or is well, is passed over.
"""

import csv
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import IO, Final

from mailer.errors import InputError
from mailer.mail.barring.scopes import ALL, BULK, checked
from mailer.mail.lists.decoding import BLOCK, Notice
from mailer.mail.recipients import Rejected, parse, read_rows
from mailer.mail.rows import BrokenRow, Row, is_email_column, read_blocks
from mailer.store.suppression import Suppressed

COLUMNS: Final = ("email", "reason", "since", "until", "source", "scope", "evidence")
"""Of our own files, in this order for good."""

_LISTS: Final = ("SuppressedDestinationSummaries", "items", "result", "data")
_ADDRESS: Final = re.compile(rb"(?i)(^|[,;\t|\"])address($|[,;\t|\"\r\n])")
_MILLISECONDS: Final = 1e11
"""A number beyond this counts milliseconds: as seconds it would lie after the year 5138."""
_LAST: Final = 253_402_300_799.0
"""The last second of the year 9999, beyond which no time can be written down."""
_FINGERPRINT: Final = 17


@dataclass(frozen=True, slots=True)
class _Export:
    """What another mailer writes: which columns tell it, and what the others mean."""

    source: str
    needs: frozenset[str]
    at: str
    reason: str
    email: str = "email"
    evidence: str = ""
    reasons: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, str] | None = None
    scope: str = ALL


_EXPORTS: Final = (
    _Export("listmonk", frozenset({"uuid", "email", "status"}), "updatedat", "blocklisted",
            only=("status", "blocklisted")),
    _Export("ses", frozenset({"emailaddress", "reason", "lastupdatetime"}), "lastupdatetime", "bounce",
            "emailaddress", reasons={"BOUNCE": "bounce", "COMPLAINT": "complaint"}),
    _Export("sendgrid", frozenset({"email", "status", "reason", "created"}), "created", "bounce",
            evidence="reason"),
    _Export("mailgun", frozenset({"emailaddress", "code", "error"}), "createdat", "bounce",
            "emailaddress", "error"),
    _Export("mailgun", frozenset({"emailaddress", "tags", "createdat"}), "createdat", "unsubscribe",
            "emailaddress", scope=BULK),
    _Export("mailgun", frozenset({"emailaddress", "count", "createdat"}), "createdat", "complaint",
            "emailaddress"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds where a row does not say it; *now* is when an entry without a time begins."""

    reason: str
    scope: str
    now: float


def rows_of(source: str | Path | IO[bytes], encoding: str | None, notice: Notice) -> Iterator[Row]:
    """Yield the rows of *source*: CSV, Excel, JSON Lines, or one JSON document with a list in it.

    A JSON document is held in memory; the others are streamed. Raises `InputError`.
    """
    with _opened(source) as stream:
        first = stream.readline()
        if first.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in {b"[", b"{"}:
            yield from _json(first + stream.read(), encoding, notice)
            return
        # Readers of recipients know no column of that name, which streets have, too.
        named = _ADDRESS.sub(rb"\g<1>Email Address\g<2>", first, count=1)
        blocks = chain((named,), iter(partial(stream.read, BLOCK), b""))
        name = str(getattr(stream, "name", "the stream"))
        yield from read_blocks(blocks, name, encoding=encoding, notice=notice)


def _json(octets: bytes, encoding: str | None, notice: Notice) -> Iterator[Row]:
    try:
        document = json.loads(octets.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return read_rows(BytesIO(octets), encoding=encoding, notice=notice)
    return _listed(document)


def _opened(source: str | Path | IO[bytes]) -> AbstractContextManager[IO[bytes]]:
    if not isinstance(source, str | Path):
        return nullcontext(source)
    if str(source) == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return Path(source).open("rb")
    except OSError as error:
        raise InputError(f"cannot read {source}: {error.strerror}") from error


def _listed(document: object) -> Iterator[Row]:
    if isinstance(document, dict):
        found = next((document[name] for name in _LISTS if name in document), [document])
        document = found
    for one in document if isinstance(document, list) else [document]:
        yield one if isinstance(one, dict) else BrokenRow("an entry that is no JSON object")


def entry_of(
    row: Row, number: int, defaults: Defaults
) -> tuple[bytes, Suppressed] | Rejected | None:
    """The entry that a row of any such file is about; None for one that says to mail them."""
    if isinstance(row, BrokenRow):
        return Rejected(number, row.reason)
    try:
        return _read(row, number, defaults)
    except InputError as error:  # a time or a scope that cannot be read
        return Rejected(number, str(error))


def _read(
    row: Mapping[str, object], number: int, defaults: Defaults
) -> tuple[bytes, Suppressed] | Rejected | None:
    plain = {_plain(name): value for name, value in row.items()}
    if "address" in plain:
        plain.setdefault("emailaddress", plain["address"])
    export = next((one for one in _EXPORTS if one.needs <= plain.keys()), None)
    if export is None:
        return _ours(row, plain, number, defaults)
    if export.only and str(plain[export.only[0]]).strip().lower() != export.only[1]:
        return None
    who = parse({"email": plain[export.email]}, number)
    if isinstance(who, Rejected):
        return who
    said = str(plain.get(export.evidence) or "")[:200]
    reason = export.reasons.get(str(plain.get("reason")), export.reason)
    since = moment_of(plain.get(export.at)) or defaults.now
    return who.key, Suppressed(who.mailbox, reason, since, None, export.source, said, export.scope)


def _ours(
    row: Mapping[str, object], plain: Mapping[str, object], number: int, defaults: Defaults
) -> tuple[bytes, Suppressed] | Rejected:
    key, mailbox = _key_alone(plain.get("email"))
    if not key:
        named = next((value for name, value in row.items() if is_email_column(name)), None)
        who = parse({"email": plain.get("emailaddress") if named is None else named}, number)
        if isinstance(who, Rejected):
            return who
        key, mailbox = who.key, who.mailbox
    return key, Suppressed(
        mailbox,
        str(plain.get("reason") or defaults.reason),
        moment_of(plain.get("since")) or defaults.now,
        moment_of(plain.get("until")),
        str(plain.get("source") or "import"),
        str(plain.get("evidence") or ""),
        checked(str(plain.get("scope") or defaults.scope)),
    )


def _key_alone(email: object) -> tuple[bytes, str]:
    """The fingerprint of an entry whose address nobody knows: ``#`` and 16 digits, as it is shown."""
    text = str(email or "")
    if text[:1] != "#" or len(text) != _FINGERPRINT:
        return b"", ""
    try:
        return bytes.fromhex(text[1:]), ""
    except ValueError:
        return b"", ""


def written(entry: Suppressed) -> dict[str, str]:
    """An entry as our files have it, times in UTC."""
    return {
        "email": entry.mailbox,
        "reason": entry.reason,
        "since": _iso(entry.since),
        "until": _iso(entry.until) if entry.until else "",
        "source": entry.source,
        "scope": entry.scope,
        "evidence": entry.evidence,
    }


def write(entries: Iterable[Suppressed], target: IO[str], *, as_json: bool) -> int:
    """Write *entries* to *target* as CSV, or as JSON Lines; returns how many."""
    number = 0
    writer = csv.DictWriter(target, COLUMNS, lineterminator="\n")
    if not as_json:
        writer.writeheader()
    for entry in entries:
        number += 1
        if as_json:
            target.write(json.dumps(written(entry), ensure_ascii=False) + "\n")
        else:
            writer.writerow(written(entry))
    return number


def moment_of(value: object) -> float | None:
    """Seconds since the epoch of what an export writes for a time; None for nothing.

    Without a zone a time is local. Raises `InputError`.
    """
    text = str(value if value is not None else "").strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        return _date(text)
    number = number / 1000 if number > _MILLISECONDS else number
    # A number out of range, and "nan", could be stored, and never be shown as a time again.
    if not 0 <= number <= _LAST:
        raise _no_time(text)
    return number


def _date(text: str) -> float:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return read(text).timestamp()
        except (ValueError, OverflowError, OSError):
            continue
    raise _no_time(text)


def _no_time(text: str) -> InputError:
    return InputError(f"{text[:40]!r} is no time, such as 2026-03-31T12:00:00Z")


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(name: object) -> str:
    return "".join(letter for letter in str(name).lower() if letter.isalnum())
