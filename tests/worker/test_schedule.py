"""Real workers and a campaign that begins later."""

import time

from mailer.config import load
from mailer.operate import campaigns
from tests.servers.waiting import eventually


def test_a_campaign_is_held_back_and_let_go(cluster, smtp):
    settings = load(cluster.folder / "mailer.toml", {})
    cluster.enqueue("spring", "primary", 40, batch=10)
    campaigns.schedule(settings, "spring", time.time() + 3600)
    cluster.enqueue("other", "primary", 10)
    cluster.start("one")
    eventually(lambda: cluster.final("other"))
    assert cluster.outcomes("spring") == {"queued": 40}
    assert campaigns.status(settings, "spring").says.startswith("waiting until")

    campaigns.schedule(settings, "spring", time.time())
    eventually(lambda: cluster.final("spring"))
    assert cluster.outcomes("spring") == {"accepted": 40}
    assert len(smtp.mailboxes("primary")) == 50
