"""How dates, numbers and sums of money are written: every filter, in several languages."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.compose.template.formats import filters, is_known, locale_of
from mailer.errors import TemplateError
from tests.compose.conftest import row

# Babel's blanks: between a number and its sign, and in French also between thousands.
BLANKS = str.maketrans({"\u00a0": " ", "\u202f": " "})
WHEN = datetime(2026, 3, 1, 9, 5, 7, tzinfo=UTC)


def written(name, value, *args, language="en", **options):
    return filters(locale_of(language))[name](value, *args, **options).translate(BLANKS)


@pytest.mark.parametrize(
    ("language", "plain", "short", "long", "own"),
    [
        ("en", "Mar 1, 2026", "3/1/26", "March 1, 2026", "2026/03"),
        ("en-GB", "1 Mar 2026", "01/03/2026", "1 March 2026", "2026/03"),
        ("de", "01.03.2026", "01.03.26", "1. März 2026", "2026/03"),
        ("fr", "1 mars 2026", "01/03/2026", "1 mars 2026", "2026/03"),
        ("ja", "2026/03/01", "2026/03/01", "2026年3月1日", "2026/03"),
    ],
)
def test_a_day_is_written_as_the_language_does(language, plain, short, long, own):
    for day in (date(2026, 3, 1), WHEN, "2026-03-01", " 2026-03-01 ", "2026-03-01T23:59:59+01:00"):
        assert written("date", day, language=language) == plain
        assert written("date", day, "short", language=language) == short
        assert written("date", day, format="long", language=language) == long
        assert written("date", day, "yyyy/MM", language=language) == own


@pytest.mark.parametrize(
    ("language", "short", "both"),
    [
        ("en", "9:05 AM", "Mar 1, 2026, 9:05:07 AM"),
        ("de", "09:05", "01.03.2026, 09:05:07"),
        ("fr", "09:05", "1 mars 2026, 09:05:07"),
    ],
)
def test_a_time_is_written_as_the_language_does(language, short, both):
    for moment in (time(9, 5, 7), WHEN, "2026-03-01T09:05:07", "2026-03-01 09:05:07"):
        assert written("time", moment, language=language) == short
    assert written("datetime", WHEN, language=language) == both


@pytest.mark.parametrize("hours", [-11, -5, 0, 5.5, 14])
def test_a_moment_is_written_in_its_own_zone(hours):
    """Nobody knows the recipient's: what the row says is what is written."""
    zone = timezone(timedelta(hours=hours))
    moment = datetime(2026, 3, 1, 23, 30, tzinfo=zone)
    assert written("date", moment) == "Mar 1, 2026"
    assert written("time", moment) == "11:30 PM"
    assert written("time", moment.isoformat()) == "11:30 PM"


@pytest.mark.parametrize(
    ("language", "number", "percent", "currency"),
    [
        ("en", "1,234,567.89", "25%", "€1,234.50"),
        ("de", "1.234.567,89", "25 %", "1.234,50 €"),
        ("fr", "1 234 567,89", "25 %", "1 234,50 €"),
        ("en-IN", "12,34,567.89", "25%", "€1,234.50"),
    ],
)
def test_numbers_and_sums_are_written_as_the_language_does(language, number, percent, currency):
    for amount in (Decimal("1234567.89"), 1234567.89, "1234567.89", " 1234567.89 "):
        assert written("number", amount, language=language) == number
    for share in (0.25, "0.25", Decimal("0.25")):
        assert written("percent", share, language=language) == percent
    for total in (1234.5, "1234.50", Decimal("1234.5")):
        assert written("currency", total, "EUR", language=language) == currency


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (-1, "-1"),
        ("-0.5", "-0.5"),
        ("1e3", "1,000"),
        (10**15, "1,000,000,000,000,000"),
    ],
)
def test_a_number_may_be_small_great_or_negative(value, shown):
    assert written("number", value) == shown


def test_a_pattern_of_ones_own_goes_before_the_languages():
    assert written("number", 7, "000") == "007"
    assert written("number", 1234.5, format="#,##0.00", language="de") == "1.234,50"
    assert written("percent", 0.125, "#,##0.0%") == "12.5%"
    assert written("currency", 3, "USD", format="¤¤ 0.00") == "USD 3.00"


DATES = ("date", "time", "datetime")
NUMBERS = ("number", "percent")
NO_DATE = ["", "soon", "2026-13-01", "2026-02-30", "01.03.2026", "2026-03-01T25:00"]
NO_NUMBER = ["", "many", "1,5", "1.2.3", "NaN", "nan", "Infinity", "-inf", "sNaN"]


@pytest.mark.parametrize("name", DATES)
@pytest.mark.parametrize("value", NO_DATE)
def test_a_text_that_is_no_date_is_refused(name, value):
    with pytest.raises(ValueError):
        written(name, value)


@pytest.mark.parametrize("name", DATES)
@pytest.mark.parametrize("value", [7, 7.5, None, [], {}, b"2026-03-01", ("2026-03-01",)])
def test_a_value_of_another_kind_is_no_date(name, value):
    with pytest.raises(TypeError, match=f"a date is wanted, not a {type(value).__name__}"):
        written(name, value)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [*NO_NUMBER, float("nan"), float("inf"), Decimal("NaN")])
def test_a_text_that_is_no_number_is_refused(name, value):
    with pytest.raises(ValueError, match="a number is wanted, with a dot for its decimals"):
        written(name, value)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [None, [], {}, b"7", date(2026, 3, 1)])
def test_a_value_of_another_kind_is_no_number(name, value):
    with pytest.raises(TypeError, match=f"a number is wanted, not a {type(value).__name__}"):
        written(name, value)


@pytest.mark.parametrize(
    ("template", "fields", "said"),
    [
        ("{{ when|date }}", {"when": "soon"}, "body.txt:1: ValueError"),
        ("{{ when|date }}", {"when": 7}, "body.txt:1: TypeError: a date is wanted, not a int"),
        (
            "{{ sum|number }}",
            {"sum": "1,5"},
            "body.txt:1: ValueError: a number is wanted, with a dot for its decimals",
        ),
        ("{{ sum|number }}", {"sum": "nan"}, "body.txt:1: ValueError: a number is wanted"),
    ],
)
def test_a_row_that_a_filter_refuses_names_file_line_and_row(make, template, fields, said):
    composer = make({"body.txt": template})
    with pytest.raises(TemplateError) as caught:
        composer.compose(row(3, **fields))
    assert said in str(caught.value)
    assert str(caught.value).endswith("(row 3)")


# Languages.


@pytest.mark.parametrize(
    ("tag", "known"),
    [
        ("en", True),
        ("pt-BR", True),
        ("pt_BR", True),
        ("zh-Hant-TW", True),
        ("de-XX", True),
        ("DE", True),
        ("xx", False),
        ("", False),
        ("english", False),
        ("../etc", False),
        ("d", False),
    ],
)
def test_a_language_is_known_or_a_variant_of_one_that_is(tag, known):
    assert is_known(tag) is known
    if not known:
        assert locale_of(tag) == locale_of("en")


@given(st.text(max_size=20))
def test_any_text_may_be_asked_for_as_a_language(tag):
    assert locale_of(tag) is not None
    assert isinstance(is_known(tag), bool)


def test_equal_values_of_different_kinds_are_told_apart():
    """Results are kept by value; 1, 1.0 and True are one key to a dictionary."""
    kept = filters(locale_of("en"))["number"]
    assert kept(1) == "1"
    assert kept(1.5) == "1.5"
    assert kept(Decimal("1.50")) == "1.5"
    assert kept("1") == "1"
    for _ in range(2):
        with pytest.raises(TypeError):
            kept([1])
