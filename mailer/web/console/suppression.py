"""The suppression list: who gets no mail and why; looked for, put on, taken off, read in, written out."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from io import BytesIO, StringIO
from time import time
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mailer.errors import InputError
from mailer.mail.barring.scopes import ALL, BULK, checked
from mailer.mail.counts import count, plural
from mailer.mail.foreign import csv_cell
from mailer.operate.barring import suppression
from mailer.operate.barring.files import COLUMNS, written
from mailer.operate.barring.searching import Wanted, counts, search
from mailer.web.console.answers import Form
from mailer.web.console.frame import HEADERS, number_in, page, settings_of, text_in
from mailer.web.console.words import moment

_SHOWN_FAULTS: Final = 5
_LASTING: Final = {"30": "30 days", "90": "90 days", "365": "a year"}
_NAMES: Final = {ALL: "all mail", BULK: "bulk mail"}
_FORMS: Final = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
}


def listed(request: Request) -> Response:
    """Those of one address, or some of the list; how many there are by reason and source."""
    settings, address = settings_of(request), text_in(request, "address")
    fields = {name: text_in(request, name) for name in ("scope", "reason", "source")}
    start = number_in(request, "start")
    found, fault, more = [], "", 0
    try:
        wanted = Wanted(**fields | {"scope": checked(fields["scope"]) if fields["scope"] else ""})
        if address:
            every = suppression.find(address, settings=settings)
            found = [one for one in every if wanted.fits(one, exactly=False)]
        else:
            some = search(settings, wanted, start)
            found, more = [*some.entries], some.more
    except InputError as exc:
        fault = str(exc)
    return page(
        request,
        "suppression.html",
        section="suppression",
        address=address,
        which=fields,
        found=found,
        fault=fault,
        more=more,
        start=start,
        total=suppression.number(settings=settings),
        counts=counts(settings),
        lasting=_LASTING,
        names=_NAMES,
    )


def exported(request: Request) -> Response:
    """The whole list, streamed, as `mailer suppress import` reads it."""
    form = request.path_params["form"]
    if form not in _FORMS:
        raise InputError("the list is written as csv or jsonl")
    name = f'attachment; filename="suppressed.{form}"'
    entries = map(written, suppression.entries(settings=settings_of(request)))
    lines = _csv(entries) if form == "csv" else (f"{json.dumps(one)}\n" for one in entries)
    headers = {**HEADERS, "Content-Disposition": name}
    return StreamingResponse(lines, media_type=_FORMS[form], headers=headers)


def add(request: Request, form: Form) -> str:
    """Put an address on the list: for all mail or some, for good or for a time."""
    address, reason = form.get("address", "").strip(), form.get("reason", "").strip()
    scope, until = checked(form.get("scope", "").strip() or ALL), _until(form)
    added = suppression.add(
        address,
        reason=reason[:200] or "by hand",
        scope=scope,
        until=until,
        settings=settings_of(request),
    )
    if not added:
        return f"{address} had been on the list already."
    which = f" for {_NAMES.get(scope, scope)}" if scope != ALL else ""
    return f"{address} is on the list{which}{f', until {moment(until)}' if until else ''}."


def remove(request: Request, form: Form) -> str:
    """Take an address off the list: one of its entries, or all."""
    address, scope = form.get("address", "").strip(), form.get("scope") or None
    if not suppression.remove(address, scope=scope, settings=settings_of(request)):
        raise InputError(f"{address} is not on the list")
    return f"{address} is off the list{f' of {_NAMES.get(scope, scope)}' if scope else ''}."


def read_in(request: Request, form: Form) -> str:
    """Put the addresses of a file, or of a field, on the list."""
    octets = request.state.file or form.get("addresses", "").encode("utf-8", "replace")
    if not octets.strip():
        raise InputError("there is no address in it: choose a file, or write addresses")
    notices: list[str] = []
    done = suppression.load(
        _with_heading(octets),
        reason=form.get("reason", "").strip()[:200] or "imported",
        scope=form.get("scope", "").strip() or ALL,
        notice=notices.append,
        settings=settings_of(request),
    )
    said = [f"{plural(done.added, 'address')} added"]
    if known := done.read - done.added:
        said.append(f"{count(known)} had been on the list")
    if done.passed_over:
        said.append(f"{plural(done.passed_over, 'row')} passed over: they may be mailed")
    parts = [", ".join(said)]
    if done.faults:
        rows = "; ".join(f"row {one.row}: {one.reason}" for one in done.faults[:_SHOWN_FAULTS])
        more = " …" if len(done.faults) > _SHOWN_FAULTS else ""
        parts.append(f"{plural(len(done.faults), 'row')} left out: {rows}{more}")
    return ". ".join([*parts, *notices]) + "."


def page_of(_request: Request, _form: Form) -> str:
    """Where one goes after an act."""
    return "/suppression"


def _until(form: Form) -> float | None:
    """When an entry is over: the date that is given, or after so many days; None for never."""
    at, days = form.get("until", "").strip(), form.get("days", "")
    if not at:
        return time() + int(days) * 86400 if days in _LASTING else None
    try:
        return datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        raise InputError("until when? give a date, such as 2026-05-01") from None


def _with_heading(octets: bytes) -> BytesIO:
    """A list as files have it; one of an address a line gets a heading."""
    plain = octets.removeprefix(b"\xef\xbb\xbf")
    first = plain.lstrip().partition(b"\n")[0]
    has_no_heading = b"@" in first and first[:1] not in {b"{", b"["} and b"\0" not in first
    return BytesIO(b"email\n" + plain if has_no_heading else octets)


def _csv(entries: Iterator[Mapping[str, str]]) -> Iterator[str]:
    yield _line(COLUMNS)
    for one in entries:
        yield _line([one[column] for column in COLUMNS])


def _line(cells: Sequence[str]) -> str:
    written_out = StringIO()
    csv.writer(written_out, lineterminator="\r\n").writerow([csv_cell(cell) for cell in cells])
    return written_out.getvalue()
