"""A dry run says what the real one would do: the same rows left out, the same refusals."""

import pytest

from mailer import Campaign
from mailer.config import Settings
from mailer.errors import InvalidRowsError, TemplateError
from mailer.produce.dry_run import rehearse
from mailer.produce.faults import Faults
from tests.compose.conftest import write


@pytest.fixture
def campaign(tmp_path):
    def make(**files):
        files = {name.replace("_", "."): text for name, text in files.items()}
        write(tmp_path, {"subject.txt": "Hi {{ name }}", "body.txt": "{{ city }}", **files})
        settings = Settings(templates=tmp_path, sender="news@shop.example")
        return Campaign("spring", template="t", settings=settings)

    return make


ADA = {"email": "ada@example.org", "name": "Ada", "city": "Rome"}


def test_one_faulty_row_refuses_the_list_as_send_does(campaign):
    with pytest.raises(InvalidRowsError) as caught:
        rehearse(campaign(), [ADA, {"email": "bob@example.org", "name": "Bob"}])
    assert "'city' is undefined (row 2)" in str(caught.value)
    assert str(caught.value).endswith("(nothing would be queued)")


def test_skip_faulty_leaves_it_out_and_names_it(campaign):
    rows = [
        {"email": "bob@example.org", "name": "Bob"},
        ADA,
        ADA,
        {**ADA, "email": "Bob@example.org"},
    ]
    receipt = rehearse(campaign(), rows, skip_faulty=True)
    assert (receipt.queued, receipt.invalid, receipt.duplicate) == (1, 1, 2)


def test_a_fault_of_the_campaign_is_said_once_however_many_rows_there_are(campaign):
    rows = [{**ADA, "email": f"p{n}@example.org"} for n in range(500)]
    with pytest.raises(TemplateError):
        rehearse(campaign(subject_txt="{% if %}"), rows)
    with pytest.raises(InvalidRowsError) as caught:
        rehearse(campaign(subject_txt="{{ nobody }}"), rows)
    assert str(caught.value).count("'nobody' is undefined") == 1
    assert "(row 1), and in 499 more" in str(caught.value)


def test_a_row_that_was_changed_to_be_sent_is_noted(campaign):
    receipt = rehearse(campaign(), [{**ADA, "name": "Ada\nLovelace"}])
    assert receipt.notes == {1: "the line break in the name was made a blank"}


def test_of_many_different_faults_ten_are_told():
    faults = Faults()
    for n in range(1, 26):
        faults.add(f"fault {n} (row {n})")
    told = faults.told("end").splitlines()
    assert (len(told), told[0], told[-1]) == (11, "fault 1 (row 1)", "and 15 more (end)")


@pytest.mark.parametrize(
    ("field", "wanted", "meant"),
    [
        ("Name", "name", "did you mean 'Name'?"),
        (
            "First name",
            "first_name",
            "did you mean 'First name', written {{ row[\"First name\"] }}?",
        ),
        ("surname", "surnmae", "did you mean 'surname'?"),
    ],
)
def test_a_variable_that_is_not_there_says_which_was_meant(campaign, field, wanted, meant):
    made = campaign(body_txt=f"{{{{ {wanted} }}}}", subject_txt="x")
    with pytest.raises(InvalidRowsError) as caught:
        rehearse(made, [{"email": "ada@example.org", field: "Ada"}])
    assert meant in str(caught.value)
