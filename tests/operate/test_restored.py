"""The history knows who got a campaign, also where the ledger has forgotten it."""

import pytest

from mailer.config import Settings
from mailer.errors import CampaignNotFoundError
from mailer.history import open_history
from mailer.mail.event import Event
from mailer.operate.recipients import accepted


def test_a_campaign_that_the_ledger_never_heard_of_is_asked_of_the_history(redis_url, tmp_path):
    url = f"sqlite:///{tmp_path}/history.db"
    settings = Settings.model_validate({"redis": redis_url, "history": {"url": url}})
    history = open_history(url)
    history.upgrade()
    with pytest.raises(CampaignNotFoundError):
        accepted(settings, "spring")
    people = [("accepted", "ada"), ("uncertain", "bob"), ("rejected", "eve")]
    told = [
        Event("spring", place, outcome, 1.0, mailbox=f"{name}@x.example", order=place + 1)
        for place, (outcome, name) in enumerate(people)
    ]
    # Cancelled by a ledger that knew nothing of it: what was known before counts.
    told.append(Event("spring", 0, "cancelled", 2.0, mailbox="ada@x.example", order=9))
    history.write(told)
    history.close()

    has = accepted(settings, "spring")

    assert [name for _, name in people if f"{name}@x.example" in has] == ["ada", "bob"]


def test_a_history_that_knows_only_some_of_a_campaign_is_not_enough(redis_url, tmp_path):
    url = f"sqlite:///{tmp_path}/history.db"
    settings = Settings.model_validate({"redis": redis_url, "history": {"url": url}})
    history = open_history(url)
    history.upgrade()
    history.write([Event("spring", 7, "accepted", 1.0, mailbox="ada@x.example", order=1)])
    history.close()
    with pytest.raises(CampaignNotFoundError):
        accepted(settings, "spring")
