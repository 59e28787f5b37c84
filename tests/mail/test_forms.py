"""What messages have in common stands once, and put together they are what they were."""

from hypothesis import given
from hypothesis import strategies as st

from mailer.mail.forms import MOST, Form, common, merged
from mailer.mail.message import SharedPart

PART, OTHER = SharedPart.of(b"catalogue"), SharedPart.of(b"terms")
FRAME = b"This is the same for all, and long enough to be worth it.\r\n"


def put_together(contents):
    forms, rows = common(contents)
    return [forms[number].content(values) for number, values in rows]


# Few different chunks, so that contents agree in many ways and by chance.
chunks = st.sampled_from([b"", b"a", b"b", b"ab", b"\r\n", FRAME, FRAME * 2, PART, OTHER])
contents = st.lists(st.lists(chunks, max_size=6).map(tuple), max_size=12)


@given(contents)
def test_form_and_values_are_the_content(batch):
    assert put_together(batch) == [merged(content) for content in batch]


@given(contents)
def test_how_much_it_is_can_be_told_before_it_is_put_together(batch):
    forms, rows = common(batch)
    for number, values in rows:
        octets = sum(len(one) for one in forms[number].content(values) if isinstance(one, bytes))
        assert octets == forms[number].octets(values)
        assert octets <= forms[number].size + forms[number].most * sum(map(len, values))


def letter(n, link):
    return (FRAME, b"Dear %d" % n, FRAME, link, FRAME, link, b"", link, PART, b"Yours, %d" % n)


def test_what_is_constant_stands_once_and_each_value_once_a_message():
    forms, rows = common([letter(n, b"token%d" % n) for n in range(100)])
    assert [form.pieces for form in forms] == [(FRAME, 0, FRAME, 1, FRAME, 1, 1, PART, 2)]
    assert rows[7] == (0, (b"Dear 7", b"token7", b"Yours, 7"))


def test_values_that_agree_in_many_messages_and_not_in_all_are_kept_apart():
    batch = [(FRAME, b"%d" % n, FRAME, b"%d" % (n if n != 50 else 51)) for n in range(100)]
    forms, rows = common(batch)
    assert forms[0].count == 2
    assert rows[50] == (0, (b"50", b"51"))


def test_a_value_that_the_first_have_in_common_is_no_constant():
    batch = [(FRAME, b"Lyon" if n < 60 else b"Leeds", FRAME, b"%d" % n) for n in range(100)]
    forms, _ = common(batch)
    assert len(forms) == 1
    assert put_together(batch) == [merged(content) for content in batch]


def test_two_variants_of_a_template_have_a_form_each():
    german = (FRAME.upper(), b"", FRAME.upper())
    batch = [(*(german if n % 3 else (FRAME, b"", FRAME)), b"%d" % n) for n in range(60)]
    forms, rows = common(batch)
    assert len(forms) == 2
    assert [number for number, _ in rows] == [1 if n % 3 else 0 for n in range(60)]
    assert put_together(batch) == [merged(content) for content in batch]


def test_attachments_of_their_own_are_not_taken_for_values():
    batch = [(FRAME, SharedPart.of(b"%d" % n), FRAME) for n in range(5)]
    assert put_together(batch) == batch


def test_messages_that_have_nothing_in_common_are_written_whole_and_soon():
    batch = [(b"%d" % n * 30, b"%d" % (n * 7) * 40) for n in range(10 * MOST)]
    forms, rows = common(batch)
    assert put_together(batch) == [merged(content) for content in batch]
    assert len(forms) <= MOST + 1
    assert len(rows) == len(batch)


def test_a_form_names_each_of_its_values():
    assert Form([b"a", 0, b"b", 1, 0]).content((b"1", b"2")) == (b"a1b21",)
    assert Form([]).content(()) == ()
