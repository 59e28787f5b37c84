"""How durations, rates, lists and addresses are written, and what is said of those that are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.config.units import (
    LONGEST,
    FromEnvironment,
    Rate,
    duration,
    listed,
    parsed,
    split_address,
)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (0, 0),
        (1, 1),
        (1.5, 1.5),
        (90, 90),
        ("90", 90),
        ("1.5", 1.5),
        (" 90 ", 90),
        ("90s", 90),
        ("90 s", 90),
        ("15m", 900),
        ("2h", 7200),
        ("5d", 432_000),
        ("2w", 1_209_600),
        ("1y", 31_536_000),
        ("250ms", 0.25),
        ("1h 30m", 5400),
        ("1h30m", 5400),
        ("1d 2h 3m 4s", 93_784),
        ("1.5h", 5400),
        ("1H 30M", 5400),
        ("0s", 0),
        ("1s 1s", 2),
        ("1m 500ms", 60.5),
        (FromEnvironment("90"), 90),
        (FromEnvironment("1.5"), 1.5),
        (FromEnvironment("15m"), 900),
        (FromEnvironment('"15m"'), 900),
    ],
)
def test_a_duration_is_seconds(written, seconds):
    assert duration(written) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "written",
    [
        "",
        " ",
        "s",
        "m5",
        "5 minutes",
        "5min",
        "-5s",
        "-5x",
        "1,5h",
        "1h 30",
        "30 1h",
        "5 s m",
        "1e3",
        "1:30",
        "soon",
        "5µs",
        "٣x",
        True,
        False,
        None,
        [],
        {},
        ("1s",),
        b"1s",
        FromEnvironment("true"),
        FromEnvironment("[1]"),
        FromEnvironment(""),
    ],
)
def test_what_is_no_duration_is_shown_with_what_may_stand_there(written):
    with pytest.raises(ValueError, match=r'must be seconds or a duration such as "90s"'):
        duration(written)


UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604_800, "y": 31_536_000}


@given(
    st.lists(st.tuples(st.integers(0, 999), st.sampled_from(sorted(UNITS))), min_size=1, max_size=5)
)
def test_units_add_up(parts):
    text = " ".join(f"{number}{unit}" for number, unit in parts)
    seconds = sum(number * UNITS[unit] for number, unit in parts)
    if seconds <= LONGEST:
        assert duration(text) == pytest.approx(seconds)
    else:
        with pytest.raises(ValueError, match="must be at most 100 years"):
            duration(text)


@pytest.mark.parametrize(
    ("written", "count", "seconds"),
    [
        ("14/second", 14, 1),
        ("14/s", 14, 1),
        ("14/sec", 14, 1),
        ("14 per second", 14, 1),
        ("14 / second", 14, 1),
        ("300/minute", 300, 60),
        ("300/min", 300, 60),
        ("300/m", 300, 60),
        ("300/5 minutes", 300, 300),
        ("300/5minutes", 300, 300),
        ("300 per 5 minutes", 300, 300),
        ("10/h", 10, 3600),
        ("10/2 hours", 10, 7200),
        ("50000/day", 50_000, 86_400),
        ("50_000/day", 50_000, 86_400),
        ("1/30 days", 1, 2_592_000),
        (" 14/SECOND ", 14, 1),
        ("1/1 day", 1, 86_400),
        ("3/2 secs", 3, 2),
    ],
)
def test_a_rate_is_a_count_in_seconds(written, count, seconds):
    assert Rate.parse(written) == Rate(count, seconds)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "14",
        "/second",
        "14/",
        "14/fortnight",
        "0/second",
        "14/0 seconds",
        "-1/s",
        "1.5/s",
        "14/-1 s",
        "_/s",
        "1__0/s",
        "1_/s",
        "_1/s",
        "14 second",
        "14//s",
        14,
        None,
        True,
        [],
        ("1/s",),
        "fourteen/s",
        "14/s/s",
    ],
)
def test_what_is_no_rate_is_shown_with_what_may_stand_there(written):
    with pytest.raises(ValueError, match=r'must be a rate such as "14/second"'):
        Rate.parse(written)


@given(st.integers(1, 10**6), st.integers(1, 10**7))
def test_a_rate_is_written_as_it_is_read(count, seconds):
    rate = Rate(count, seconds)
    assert Rate.parse(str(rate)) == rate
    assert Rate.parse(rate) is rate


@pytest.mark.parametrize(
    ("rate", "written"),
    [
        (Rate(14, 1), "14/second"),
        (Rate(14, 2), "14/2 seconds"),
        (Rate(1, 60), "1/minute"),
        (Rate(1, 90), "1/90 seconds"),
        (Rate(1, 300), "1/5 minutes"),
        (Rate(1, 3600), "1/hour"),
        (Rate(1, 7200), "1/2 hours"),
        (Rate(1, 86_400), "1/day"),
        (Rate(1, 604_800), "1/7 days"),
    ],
)
def test_a_rate_is_written_in_the_largest_unit_that_fits(rate, written):
    assert str(rate) == written


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("true", True),
        ("false", False),
        ("1", 1),
        ("1.5", 1.5),
        ("[1, 2]", [1, 2]),
        ('"x"', "x"),
        ("'x'", "x"),
        ("x", "x"),
        ("", ""),
        ("a b", "a b"),
        ("a = b", "a = b"),
        ('"x', '"x'),
        ("True", "True"),
        ("0x10", 16),
        ("1\ny = 2", 1),
    ],
)
def test_an_environment_variable_is_read_as_toml_where_it_is_toml(written, read):
    found = parsed(FromEnvironment(written))
    assert (type(found), found) == (type(read), read)
    assert parsed(written) == written


@pytest.mark.parametrize(
    ("written", "items"),
    [
        ("x", ("x",)),
        (5, (5,)),
        ([], ()),
        (["a", "b"], ("a", "b")),
        (("a",), ("a",)),
        ("a,b", ("a,b",)),
        (FromEnvironment("a,b"), ("a", "b")),
        (FromEnvironment(" a , b ,, "), ("a", "b")),
        (FromEnvironment(""), ()),
        (FromEnvironment("a"), ("a",)),
        (FromEnvironment('["a,b", "c"]'), ("a,b", "c")),
        (FromEnvironment("5"), (5,)),
        (FromEnvironment('"a,b"'), ("a", "b")),
        (None, (None,)),
        ({}, ({},)),
    ],
)
def test_a_list_may_be_one_item_and_an_environments_is_parted_by_commas(written, items):
    assert listed(written) == items


@pytest.mark.parametrize(
    ("url", "netloc", "path", "query"),
    [
        ("redis://h:1/0", "h:1", "/0", ""),
        ("REDIS://h", "h", "", ""),
        ("redis://u:p@h/1?a=b", "u:p@h", "/1", "a=b"),
        ("redis://a,[::1]:7/0", "a,[::1]:7", "/0", ""),
        ("redis://:p%40@h", ":p%40@h", "", ""),
        ("unix:///tmp/x.sock", "", "/tmp/x.sock", ""),
        ("h", "", "", ""),
        ("redis://h/0#f", "h", "/0", ""),
    ],
)
def test_an_address_is_split_whatever_hosts_it_has(url, netloc, path, query):
    found = split_address(url)
    assert (found.netloc, found.path, found.query) == (netloc, path, query)
    assert found.scheme in {"redis", "unix", "h"}


@pytest.mark.parametrize(
    "url", ["redis://[::1", "redis://::1]", "redis://u[:p@h", "redis://u:p]@h", "redis://[[::1]"]
)
def test_a_bracket_that_belongs_to_no_host_is_refused(url):
    with pytest.raises(ValueError, match="a bracket that belongs to no host"):
        split_address(url)
