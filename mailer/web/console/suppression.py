"""The suppression list: who gets no mail and why; looked for, put on, taken off, read in, written out."""

import csv
from collections.abc import Iterator
from io import StringIO
from time import time
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mailer.errors import InputError
from mailer.mail.foreign import csv_cell
from mailer.mail.rows import Row, read_rows
from mailer.operate.barring import suppression
from mailer.web.console.answers import Form
from mailer.web.console.frame import HEADERS, number_in, page, settings_of, text_in
from mailer.web.console.words import machine, plural

_SIZE: Final = 50
_SHOWN_FAULTS: Final = 5
_LASTING: Final = {"30": "30 days", "90": "90 days", "365": "a year"}


def listed(request: Request) -> Response:
    """Those of one address, or some of the list, in no order."""
    settings, address = settings_of(request), text_in(request, "address")
    found, fault, more = [], "", 0
    try:
        if address:
            found = suppression.find(address, settings=settings)
        else:
            found, more = suppression.page(number_in(request, "start"), _SIZE, settings=settings)
    except InputError as exc:
        fault = str(exc)
    return page(
        request,
        "suppression.html",
        section="suppression",
        address=address,
        found=found,
        fault=fault,
        more=more,
        start=number_in(request, "start"),
        total=suppression.number(settings=settings),
        lasting=_LASTING,
    )


def exported(request: Request) -> Response:
    """The whole list as CSV, streamed; no cell is one that a spreadsheet runs."""
    headers = {**HEADERS, "Content-Disposition": 'attachment; filename="suppressed.csv"'}
    lines = _lines(suppression.entries(settings=settings_of(request)))
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)


def add(request: Request, form: Form) -> str:
    """Put an address on the list, for good or for some days."""
    address, reason = form.get("address", "").strip(), form.get("reason", "").strip()
    days = form.get("days", "")
    until = time() + int(days) * 86400 if days in _LASTING else None
    added = suppression.add(
        address, reason=reason[:200] or "by hand", until=until, settings=settings_of(request)
    )
    return f"{address} is on the list." if added else f"{address} had been on the list already."


def remove(request: Request, form: Form) -> str:
    """Take an address off the list."""
    address = form.get("address", "").strip()
    if not suppression.remove(address, settings=settings_of(request)):
        raise InputError(f"{address} is not on the list")
    return f"{address} is off the list: it may get mail again."


def read_in(request: Request, form: Form) -> str:
    """Put the addresses of a file, or of a field, on the list."""
    text = form.get("file") or form.get("addresses") or ""
    if not text.strip():
        raise InputError("there is no address in it: choose a file, or write addresses")
    reason = form.get("reason", "").strip()[:200] or "imported"
    done = suppression.put_rows(_rows(text), reason=reason, settings=settings_of(request))
    said = f"{plural(done.added, 'address')} added"
    if known := done.read - done.added:
        said += f", {known} had been on the list"
    if done.faults:
        rows = "; ".join(f"row {one.row}: {one.reason}" for one in done.faults[:_SHOWN_FAULTS])
        said += f". {plural(len(done.faults), 'row')} left out: {rows}"
        said += " …" if len(done.faults) > _SHOWN_FAULTS else ""
    return f"{said}."


def page_of(_request: Request, _form: Form) -> str:
    """Where one goes after an act."""
    return "/suppression"


def _rows(text: str) -> Iterator[Row]:
    """Rows out of CSV or JSON Lines; or one address a line, without a heading."""
    first = text.lstrip().partition("\n")[0]
    has_no_heading = "@" in first and not first.startswith("{")
    return read_rows(StringIO(f"email\n{text}" if has_no_heading else text))


def _lines(entries: Iterator[suppression.Suppressed]) -> Iterator[str]:
    yield _line(("email", "reason", "since", "until", "source", "scope"))
    for one in entries:
        until = machine(one.until) if one.until else ""
        yield _line((one.mailbox, one.reason, machine(one.since), until, one.source, one.scope))


def _line(cells: tuple[str, ...]) -> str:
    written = StringIO()
    csv.writer(written, lineterminator="\r\n").writerow([csv_cell(cell) for cell in cells])
    return written.getvalue()
