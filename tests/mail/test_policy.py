"""A campaign's policy as it is stored: every version's is read, and an older worker reads ours."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mailer.errors import PayloadError
from mailer.mail.policy import CampaignPolicy, Retry
from mailer.mail.routing import Routes

GOLDEN = Path(__file__).parent / "golden"

POLICY = CampaignPolicy(
    resend=True,
    retry={"attempts": 3, "first_delay": 30.0},
    window="Mon-Fri 08:00-18:00 Europe/Berlin",
    weight=2.0,
    routes=Routes({"a": 1.0, "b": 2.0}, {"example.org": "a"}),
    stamps=True,
)


def test_a_policy_reads_back_as_written():
    assert CampaignPolicy.decode(POLICY.encode()) == POLICY
    assert CampaignPolicy.decode(CampaignPolicy().encode()) == CampaignPolicy()


@pytest.mark.parametrize(("version", "stamps"), [("0", False), ("1", False), ("2", True)])
def test_what_every_version_wrote_is_read_for_ever(version, stamps):
    """Version 0 is what was written before there was a version; before 2, Dates were left as composed."""
    read = CampaignPolicy.decode((GOLDEN / f"policy-{version}.json").read_bytes())
    assert read == replace(POLICY, stamps=stamps)


def test_a_worker_of_the_last_version_finds_what_it_looks_for():
    ours = json.loads(POLICY.encode())
    theirs = json.loads((GOLDEN / "policy-0.json").read_bytes())
    assert {key: ours[key] for key in theirs} == theirs


def test_this_version_writes_its_golden_file():
    assert json.loads(POLICY.encode()) == json.loads((GOLDEN / "policy-2.json").read_bytes())


def test_keys_of_a_newer_version_are_passed_over():
    newer = json.loads(POLICY.encode()) | {"version": 9, "colour": "red"}
    newer["retry"]["patience"] = 4
    assert CampaignPolicy.decode(json.dumps(newer)) == POLICY


def test_nothing_stored_is_the_default():
    assert CampaignPolicy.decode(b"") == CampaignPolicy()


@pytest.mark.parametrize(
    "junk", [b"{", b"[]", b'{"window": "whenever"}', b'{"routes": {}, "retry": 5}']
)
def test_what_is_no_policy_is_refused(junk):
    with pytest.raises(PayloadError, match="policy"):
        CampaignPolicy.decode(junk)


def test_a_campaigns_own_values_lie_over_the_workers():
    configured = Retry(attempts=9, max_delay=60.0)
    assert POLICY.retry_over(configured) == Retry(attempts=3, first_delay=30.0, max_delay=60.0)
