"""How dates, numbers and sums of money are written in the recipient's language.

The filters ``date``, ``time``, ``datetime``, ``number``, ``percent`` and ``currency``, by Babel. Rows
come from CSV and JSON, so a text is read as a date (ISO 8601) or as a number (with a dot for its
decimals). Babel takes 20 to 50 us for a value, and values repeat in a campaign: so results are kept.
"""

from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from math import isfinite
from typing import Final

from babel import Locale, UnknownLocaleError, dates, numbers

_KEPT: Final = 4096
_NO_NUMBER: Final = "a number is wanted, with a dot for its decimals"

Filter = Callable[..., str]


def is_known(language: str) -> bool:
    """Tell whether Babel knows *language*, or the language that it is a variant of."""
    return _parsed(language) is not None


def locale_of(language: str) -> Locale:
    """Return Babel's locale for *language* (``pt-BR``, ``de_AT``); English where it knows none."""
    return _parsed(language) or Locale("en")


def _parsed(language: str) -> Locale | None:
    for tag in (language, language.partition("-")[0].partition("_")[0]):
        try:
            return Locale.parse(tag.replace("-", "_"))
        except (ValueError, TypeError, UnknownLocaleError):
            continue
    return None


def filters(locale: Locale) -> dict[str, Filter]:
    """Return the filters, by name, that write as in *locale*."""

    def date_(value: object, format: str = "medium") -> str:  # noqa: A002 - the template's word
        return dates.format_date(_moment(value), format, locale)

    def time_(value: object, format: str = "short") -> str:  # noqa: A002 - the template's word
        moment = value if isinstance(value, time) else _moment(value)
        return dates.format_time(moment, format, locale=locale)

    def datetime_(value: object, format: str = "medium") -> str:  # noqa: A002 - the template's word
        return dates.format_datetime(_moment(value), format, locale=locale)

    def number(value: object, format: str | None = None) -> str:  # noqa: A002 - the template's word
        return numbers.format_decimal(_amount(value), format, locale)

    def percent(value: object, format: str | None = None) -> str:  # noqa: A002 - the template's word
        return numbers.format_percent(_amount(value), format, locale)

    def currency(value: object, code: str, format: str | None = None) -> str:  # noqa: A002
        return numbers.format_currency(_amount(value), code, format, locale)

    named: dict[str, Filter] = {
        "date": date_,
        "time": time_,
        "datetime": datetime_,
        "number": number,
        "percent": percent,
        "currency": currency,
    }
    return {name: _kept(function) for name, function in named.items()}


def _kept(function: Filter) -> Filter:
    """Remember results. A value that cannot be hashed (a list) goes to the filter, which refuses it."""
    remembered = lru_cache(_KEPT, typed=True)(function)

    def call(*args: object, **options: object) -> str:
        try:
            return remembered(*args, **options)
        except TypeError:
            return function(*args, **options)

    return call


def _moment(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a day has no zone
    if isinstance(value, str):
        return datetime.fromisoformat(value.strip())
    raise TypeError(f"a date is wanted, not a {type(value).__name__}")


def _amount(value: object) -> int | float | Decimal:
    if isinstance(value, str):
        try:
            value = Decimal(value.strip())
        except InvalidOperation:
            raise ValueError(_NO_NUMBER) from None
    if not isinstance(value, int | float | Decimal):
        raise TypeError(f"a number is wanted, not a {type(value).__name__}")
    if not _is_finite(value):
        raise ValueError(_NO_NUMBER)
    return value


def _is_finite(value: float | Decimal) -> bool:
    # isfinite() makes a float of what it is given: a long integer and a signalling NaN are none.
    if isinstance(value, Decimal):
        return value.is_finite()
    return not isinstance(value, float) or isfinite(value)
