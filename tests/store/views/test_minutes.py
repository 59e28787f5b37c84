"""Outcomes are counted by the minute in which they became final: by the commits of real workers."""

import time
from collections import Counter

from mailer.config import load
from mailer.mail.status import Status
from mailer.operate import campaigns
from mailer.operate.timeline import timeline
from mailer.store.views.minutes import minutes
from tests.servers.cluster import Cluster, mailbox
from tests.servers.scripted import ScriptedServer
from tests.servers.waiting import eventually


def test_each_outcome_is_in_its_minute_once(tmp_path, redis_url):
    with ScriptedServer({"primary": "right", "other": "changed"}) as smtp:
        smtp.gone = {mailbox("spring", n) for n in range(7)}
        cluster = Cluster(tmp_path, redis_url, smtp.port, primary="right", other="right")
        try:
            begun = time.time()
            cluster.start("worker")
            cluster.enqueue("spring", "primary", 100)
            cluster.enqueue("autumn", "other", 50)
            eventually(lambda: cluster.final("spring") and cluster.final("autumn"))
            found = minutes(cluster.client, "spring", begun, time.time())
            dead = minutes(cluster.client, "autumn", begun, time.time())
            settings = load(tmp_path / "mailer.toml", {})
            steps = timeline(settings, campaigns.status(settings, "autumn")).steps
        finally:
            cluster.close()
    assert {int(begun // 60) <= minute <= int(time.time() // 60) for minute in found} == {True}
    assert sum(row.get(Status.ACCEPTED, 0) for row in found.values()) == 93
    assert sum(row.get(Status.REJECTED, 0) for row in found.values()) == 7
    assert sum((Counter(row) for row in dead.values()), Counter()) == {Status.DEAD: 50}
    assert sum(step.held for step in steps) == 50
