"""Several accounts for one campaign: by weight, pinned by domain, and failing over."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.errors import InputError
from mailer.mail.routing import Routes

ACCOUNTS = st.dictionaries(
    st.sampled_from(["ses", "sendgrid", "own", "spare"]), st.floats(0.01, 100), min_size=1
)
KEYS = st.binary(min_size=8, max_size=8)


def keys(count):
    return [number.to_bytes(8, "big") for number in range(count)]


def test_recipients_are_spread_by_weight():
    routes = Routes({"ses": 3, "own": 1})
    found = Counter(routes.route(key, "x.example") for key in keys(8_000))
    assert found["ses"] == pytest.approx(6_000, rel=0.05)
    assert found["own"] == pytest.approx(2_000, rel=0.1)


@given(ACCOUNTS, KEYS)
def test_every_process_comes_to_the_same_answer_in_any_order(weights, key):
    backwards = dict(reversed(weights.items()))
    assert Routes(weights).route(key, "x") == Routes(backwards).route(key, "x") in weights


@given(ACCOUNTS, KEYS, st.data())
def test_a_stopped_accounts_share_goes_to_others_and_nobody_elses_moves(weights, key, data):
    stopped = data.draw(st.sampled_from(sorted(weights)))
    routes = Routes(weights)
    before, after = routes.route(key, "x"), routes.route(key, "x", {stopped})
    if before != stopped or len(weights) == 1:
        assert after == before
    else:
        assert after != stopped


def test_a_stopped_accounts_share_is_spread_by_weight():
    routes = Routes({"a": 2, "b": 3, "c": 1})
    moved = Counter(
        routes.route(key, "x", {"a"}) for key in keys(9_000) if routes.route(key, "x") == "a"
    )
    assert moved["b"] / moved["c"] == pytest.approx(3, rel=0.15)


def test_a_pinned_domain_and_those_below_it_go_through_their_account():
    routes = Routes({"ses": 1, "own": 1}, {"example.org": "own"})
    domains = ["example.org", "Example.ORG", "mail.example.org"]
    assert {routes.route(key, domain) for key in keys(50) for domain in domains} == {"own"}
    assert {routes.route(key, "badexample.org") for key in keys(50)} == {"ses", "own"}


def test_a_pinned_domain_fails_over_while_its_account_is_stopped():
    routes = Routes({"ses": 1, "own": 1}, {"example.org": "own"})
    assert routes.route(b"12345678", "example.org", {"own"}) == "ses"


def test_when_all_are_stopped_everybody_waits_where_they_belong():
    routes = Routes({"ses": 1, "own": 1}, {"example.org": "own"})
    assert routes.route(b"12345678", "example.org", {"own", "ses"}) == "own"
    for key in keys(20):
        assert routes.route(key, "x", {"own", "ses"}) == routes.route(key, "x")


@pytest.mark.parametrize(
    ("weights", "pins", "says"),
    [
        ({}, {}, "needs an account"),
        ({"a": 0}, {}, "weight must be above 0"),
        ({"a": float("nan")}, {}, "weight must be above 0"),
        ({"a": 1}, {"example.org": "b"}, "'b', which is not one of a"),
    ],
)
def test_what_cannot_be_routed_is_refused_with_its_reason(weights, pins, says):
    with pytest.raises(InputError, match=says):
        Routes(weights, pins)
