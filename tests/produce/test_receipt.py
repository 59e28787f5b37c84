"""What became of each row, told so that it can be read: receipts, faults, rows that are read twice."""

import pickle

import pytest

from mailer.errors import InputError
from mailer.mail.barring.scopes import ALL
from mailer.mail.recipients import BrokenRow
from mailer.produce.faults import Faults, rows_differ
from mailer.produce.receipt import KINDS, LEFT_OUT, Receipt
from mailer.produce.single import LONGEST_KEY, Way, kind_name
from mailer.produce.spool import read_twice

# Receipts.


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_counted_and_its_rows_are_named(kind):
    receipt = Receipt("spring", queued=3)
    receipt.leave_out(7, kind, "no address")
    assert getattr(receipt, kind) == 1
    assert receipt.rows == 4
    (complaint,) = receipt.complaints
    assert (complaint.row, complaint.kind) == (7, kind)
    assert complaint.reason
    assert (complaint.reason == "no address") is (kind == "invalid"), "only these have their own"


def test_the_counts_add_up_and_rows_come_in_the_order_of_the_list():
    receipt = Receipt("spring", queued=10)
    for row, kind in ((9, "invalid"), (2, "duplicate"), (5, "suppressed"), (4, "duplicate")):
        receipt.leave_out(row, kind, "why")
    assert [one.row for one in receipt.complaints] == [2, 4, 5, 9]
    assert [one.row for one in receipt.complaints] == [2, 4, 5, 9], "as often as it is asked"
    counts = receipt.as_json()
    assert counts.pop("campaign") == "spring"
    assert sum(counts.values()) == receipt.rows == 14
    assert set(counts) == {"queued", *KINDS}


def test_every_answer_of_the_ledger_has_its_kind():
    assert set(LEFT_OUT.values()) <= set(KINDS)
    assert "invalid" not in LEFT_OUT.values(), "that a row is invalid the ledger cannot know"


def test_a_row_of_a_list_of_millions_takes_eight_octets():
    receipt = Receipt("spring")
    for row in range(1, 100_001):
        receipt.leave_out(row, "duplicate")
    assert receipt._rows["duplicate"].itemsize == 8
    assert receipt._reasons == {}
    assert receipt.duplicate == 100_000


# Faults.


def test_a_fault_of_every_row_is_said_once_with_their_number():
    found = Faults()
    assert not found
    for row in range(1, 1502):
        found.add(f"body.txt:1: 'city' is undefined (row {row})")
    found.add("body.txt:2: ValueError (row 7)")
    assert found.told("nothing was queued").splitlines() == [
        "body.txt:1: 'city' is undefined (row 1), and in 1,500 more",
        "body.txt:2: ValueError (row 7) (nothing was queued)",
    ]


def test_of_many_faults_the_first_ten_are_told_and_the_others_counted():
    found = Faults()
    for row in range(1, 1_013):
        found.add(f"fault {row} (row {row})")
    lines = found.told("nothing was queued").splitlines()
    assert lines[:10] == [f"fault {row} (row {row})" for row in range(1, 11)]
    assert lines[10:] == ["and 1,002 more (nothing was queued)"]
    assert found.total == 1_012


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([3], "row 3 ("),
        (range(1, 11), "row 10 ("),
        (range(1, 12), "row 10, and 1 more ("),
        (range(1, 1001), "row 10, and 990 more ("),
    ],
)
def test_rows_that_changed_are_named_with_what_to_do(rows, named):
    said = str(rows_differ("spring", list(rows), "nothing was queued"))
    assert named in said
    assert said.startswith("campaign 'spring': rows differ from what was queued")
    assert "give it another name, or accept the change" in said
    assert f"row {rows[0]}" in said


# Rows that are read twice.

ROWS = [{"email": "ada@example.org", "points": 5}, BrokenRow("line 3 is cut"), {"email": "ä@x.y"}]


def test_a_list_is_read_twice_as_it_is():
    with read_twice(ROWS) as (first, again):
        assert first is ROWS
        assert again() is ROWS


def test_an_iterator_is_spooled_and_read_once():
    asked = []

    def rows():
        for row in ROWS:
            asked.append(row)
            yield row

    with read_twice(rows()) as (first, again):
        assert asked == [], "streamed, not read ahead"
        assert list(first) == ROWS
        assert list(again()) == ROWS
        assert list(again()) == ROWS
    assert asked == ROWS


def test_an_empty_iterator_is_twice_nothing():
    with read_twice(iter(())) as (first, again):
        assert list(first) == list(again()) == []


def test_a_row_that_cannot_be_kept_is_an_error_of_the_row_and_not_of_the_next():
    rows = iter([{"email": "a@b.example", "call": lambda: None}])
    unkept = pytest.raises((pickle.PicklingError, AttributeError))
    with read_twice(rows) as (first, _), unkept:
        list(first)


# Single messages.


def way(**fields):
    values = {
        "kind": "welcome",
        "account": "a",
        "summary": {},
        "retry": {},
        "on_uncertain": "resend",
    }
    return Way(**{**values, **fields})


@pytest.mark.parametrize(
    ("fields", "campaign"),
    [
        ({}, "send.welcome"),
        ({"kind": "shop/welcome mail"}, "send.shop-welcome-mail"),
        ({"kind": "grüße"}, "send.gr--e"),
        ({"on_uncertain": "hold"}, "send.welcome.hold"),
        ({"mail": "bulk"}, "send.welcome.bulk"),
    ],
)
def test_messages_are_counted_by_kind_and_policy(fields, campaign):
    assert way(**fields).campaign == campaign
    assert way().mail == ALL


def test_another_policy_is_another_campaign_so_that_no_call_changes_anothers():
    names = [way(retry={"attempts": n}).campaign for n in (1, 2)]
    assert len({way().campaign, *names}) == 3
    assert way(retry={"attempts": 1}).campaign == names[0]
    assert way(retry={"attempts": 1}).policy.retry == {"attempts": 1}


def test_a_long_name_is_cut_and_stays_one_of_its_own():
    one, two = kind_name("x" * 200), kind_name("x" * 199 + "y")
    assert one != two
    assert len(one) == len(two) <= 100


@pytest.mark.parametrize("number", [1, LONGEST_KEY])
def test_a_key_has_one_to_a_thousand_characters(number):
    assert way(key="k" * number).key == "k" * number


@pytest.mark.parametrize("key", ["", "k" * (LONGEST_KEY + 1)])
def test_a_key_of_none_or_of_more_is_refused_with_its_length(key):
    with pytest.raises(InputError, match=f"1 to 1000 characters, it has {len(key)}"):
        way(key=key)


@pytest.mark.parametrize("word", ["", "Hold", "drop", None])
def test_what_is_to_happen_to_an_uncertain_message_is_one_of_two_words(word):
    with pytest.raises(InputError, match="on_uncertain is 'hold' or 'resend', not"):
        way(on_uncertain=word)
