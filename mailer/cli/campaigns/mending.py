"""How `mailer run` goes on after what stopped an account was mended: one login, then a replay."""

from time import time
from typing import Final

from mailer import Campaign
from mailer.cli.output import say
from mailer.config import Settings
from mailer.errors import SubmissionError
from mailer.mail.counts import plural
from mailer.operate.accounts import AccountOffice
from mailer.operate.dead_letters import DeadLetterOffice, Filter
from mailer.queues.connections import Producer
from mailer.worker import probe

_STOPPED: Final = ("auth", "account")
"""Reasons of dead letters that the stop of an account has left."""


def mend(settings: Settings, campaign: Campaign) -> None:
    """Try each stopped account of *campaign* with one login, and replay what its stop has left.

    Raises `SubmissionError` where that leaves no account to send with: nothing is queued then.
    """
    standings = {one.name: one for one in AccountOffice(settings).standings()}
    refused = {}
    for name in campaign.accounts:
        one = standings.get(name)
        if one is None or one.running:
            continue
        if one.state.reason == "operator":
            refused[name] = "you stopped it; mailer accounts start"
            continue
        found = probe.start(settings, name)
        if found is None or found.judgement is not None:
            refused[name] = found.reason if found else "somebody else is trying it just now"
        else:
            say(f"mailer: account {name}: logged in, and runs again", err=True)
    if len(refused) == len(campaign.accounts):
        why = "; ".join(f"account {name} is stopped: {reason}" for name, reason in refused.items())
        raise SubmissionError(f"{why}; nothing was queued. Mend it, and run the same command again")
    _replay(settings, campaign, set(campaign.accounts) - set(refused))


def _replay(settings: Settings, campaign: Campaign, running: set[str]) -> None:
    producer = Producer(settings)
    office = DeadLetterOffice(producer.client, producer.broker, settings)
    letters = [
        letter
        for letter in office.find(Filter(campaign=campaign.name), time())
        if letter.reason in _STOPPED and letter.account in running
    ]
    messages = sum(moved.messages for moved in office.replay(letters))
    if messages:
        say(f"mailer: {plural(messages, 'message')} of before queued again", err=True)
