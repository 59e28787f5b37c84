"""A dry run of a list says what `send` says of the same list: counts, complaints, verdict, exit code."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailer import Campaign
from mailer.config import Settings
from mailer.errors import MailerError
from mailer.mail.status import Status
from mailer.produce.dry_run import rehearse
from tests.cli.test_going_on import settle
from tests.compose.conftest import write

HEAD = "email,name\n"
ADA, BOB = "ada@example.org,Ada\n", "bob@example.org,Bob\n"
LISTS = {
    "two people": HEAD + ADA + BOB,
    "nobody": HEAD,
    "nothing": "",
    "a duplicate": HEAD + ADA + "ADA@Example.ORG,Ada\n" + BOB,
    "all the same": HEAD + ADA * 5,
    "a malformed address": HEAD + "nobody,Nobody\n" + BOB,
    "all malformed": HEAD + "nobody,Nobody\nno one,N\n",
    "a missing address": HEAD + ",Ada\n" + BOB,
    "a short row": HEAD + "ada@example.org\n" + BOB,
    "a long row": HEAD + "ada@example.org,Ada,more\n" + BOB,
    "empty extra cells": HEAD + "ada@example.org,Ada,,\n" + BOB,
    "empty lines": HEAD + "\n" + ADA + "\n\n" + BOB,
    "a stray quote": HEAD + '"ada@example.org,Ada\n' + BOB,
    "another column": "email,Name\n" + ADA,
    "no column": "address-of,name\nx,Ada\n",
    "two columns of addresses": "email,e-mail,name\na@x.example,b@x.example,Ada\n",
    "an empty name": HEAD + "ada@example.org,\n" + BOB,
    "a line break in a name": HEAD + '"ada@example.org","Ada\nLovelace"\n' + BOB,
    "a NUL": HEAD + "ada@example.org,A\0da\n" + BOB,
    "semicolons": "sep=;\nemail;name\nada@example.org;Ada\n",
    "a bidi mark": HEAD + "ada@example.org,A\u202eda\n" + BOB,
    "a zero-width space in an address": HEAD + "a\u200bda@example.org,Ada\n" + BOB,
    "a name that is an address": HEAD + "ada@example.org,bob@example.org\n",
    "unicode": HEAD + "łukasz@exämple.org,Łukasz\n" + BOB,
    "null": '{"email": "ada@example.org", "name": null}\n',
    "no field": '{"email": "ada@example.org"}\n{"email": "bob@example.org", "name": "Bob"}\n',
    "broken JSON": '{"email": "ada@example.org", "name": "Ada"}\n{"email": \n',
    "a lone surrogate": '{"email": "ada@example.org", "name": "A\\ud800da"}\n',
    "a list as a name": '{"email": "ada@example.org", "name": ["Ada"]}\n',
}


@pytest.mark.parametrize("options", [(), ("--skip-faulty",)], ids=["", "skip faulty"])
@pytest.mark.parametrize("content", LISTS.values(), ids=LISTS)
def test_the_verdict_the_counts_and_the_exit_code_are_those_of_send(
    mailer, place, content, options
):
    name = "list.jsonl" if content.startswith("{") else "list.csv"
    (place / name).write_bytes(content.encode())
    words = ("send", "spring", "-t", "hello", "--set", "season=May", "--json", *options, name)
    dry = mailer(*words, "--dry-run")
    assert mailer("status", "spring").code == 1, "a dry run leaves nothing"
    real = mailer(*words)
    assert dry.code == real.code
    assert dry.err.replace("would be", "was") == real.err.replace("would be", "was")
    if real.out:
        left, right = json.loads(dry.out), json.loads(real.out)
        assert {key: left[key] for key in right if key in left} == right


TWICE = HEAD + ADA + BOB + "cy@example.org,Cy\n" + BOB + ADA
OTHERS = HEAD + "ada@example.org,Augusta\n" + BOB


@pytest.mark.parametrize(
    "before",
    ["nothing", "suppressed", "a part", "all", "cancelled", "another row", "another subject"],
)
@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--skip-accepted-of", "winter"),
        ("--retry-failed-of", "winter"),
        ("--skip-accepted-of", "nosuch"),
        ("--accept-changes",),
        ("--no-check",),
        ("--skip-faulty", "--batch-size", "1"),
        ("--weight", "2"),
    ],
    ids=" ".join,
)
def test_so_it_is_whatever_is_known_already(mailer, place, client, before, options):
    (place / "list.csv").write_text(TWICE)
    (place / "others.csv").write_text(OTHERS)
    words = ("send", "spring", "-t", "hello", "--set", "season=May", "--json")
    mailer("send", "winter", *words[2:], "others.csv")
    settle(client, "winter:1", [Status.ACCEPTED, Status.REJECTED])
    if before == "suppressed":
        mailer("suppress", "add", "bob@example.org")
    elif before == "a part":
        (place / "part.csv").write_text(HEAD + BOB)
        mailer(*words, "part.csv")
    elif before == "another row":
        mailer(*words, "others.csv")
    elif before != "nothing":
        mailer(*words, "list.csv")
    if before == "cancelled":
        mailer("cancel", "spring")
    elif before == "another subject":
        (place / "templates/hello/subject.txt").write_text("Good day")
    kept = {key: client.dump(key) for key in client.scan_iter("*")}
    dry = mailer(*words, *options, "list.csv", "--dry-run")
    assert {key: client.dump(key) for key in client.scan_iter("*")} == kept, "it writes nothing"
    real = mailer(*words, *options, "list.csv")
    assert (dry.code, dry.out) == (real.code, real.out)
    assert dry.err.replace("would be", "was") == real.err


VALUES = st.sampled_from(["Ada", "", "Łukasz", "a\nb", "\u202eAda", "A\ud800", None, 7, ["x"]])
ADDRESSES = st.sampled_from(
    ["ada@example.org", "ADA@example.org", "bob@example.org", "nobody", "", "straße@example.org"]
)
ROWS = st.lists(
    st.one_of(
        st.fixed_dictionaries({"email": ADDRESSES}, optional={"name": VALUES, "city": VALUES}),
        st.fixed_dictionaries({"name": VALUES}),
    ),
    max_size=6,
)


def said(call):
    try:
        receipt = call()
    except MailerError as error:
        return type(error), str(error).replace("would be", "was")
    found = {key: value for key, value in receipt.as_json().items() if key != "campaign"}
    return found, list(receipt.complaints), receipt.notes


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=ROWS, skip_faulty=st.booleans())
def test_so_it_is_with_rows_of_any_kind(tmp_path, redis_url, client, rows, skip_faulty):
    client.flushall()
    write(tmp_path, {"subject.txt": "Hi {{ name }}", "body.txt": "{{ city or 'somewhere' }}"})
    account = {"primary": {"url": "smtp://localhost:1"}}
    made = Settings(templates=tmp_path, sender="n@x.example", redis=redis_url, accounts=account)
    campaign = Campaign("spring", template="t", settings=made)
    dry = said(lambda: rehearse(campaign, rows, skip_faulty=skip_faulty))
    assert dry == said(lambda: campaign.enqueue(rows, skip_faulty=skip_faulty))
