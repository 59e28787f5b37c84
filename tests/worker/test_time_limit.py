"""Celery's soft time limit ends a delivery as SIGTERM does: nothing becomes uncertain."""

import pytest

from tests.servers.scripted import ANY
from tests.servers.waiting import eventually


@pytest.mark.timeout(600)
def test_a_soft_time_limit_in_mid_reply_gives_the_rest_back_and_leaves_nothing_in_doubt(
    cluster, smtp
):
    smtp.delays[ANY] = 0.1
    cluster.start("limited", "--soft-time-limit", "2")
    cluster.enqueue("spring", "primary", 120, batch=60)
    eventually(lambda: cluster.final("spring"))
    assert cluster.outcomes("spring") == {"accepted": 120}, cluster.reasons("spring")
    taken = smtp.mailboxes("primary")
    assert len(taken) == len(set(taken)) == 120
    assert "Soft time limit (2.0s) exceeded" in cluster.log(), "the limit did strike"
    assert "Traceback" not in cluster.log()
