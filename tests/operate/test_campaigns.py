"""What people do to a campaign, and what they are told of it."""

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from mailer.config import Settings
from mailer.operate.campaigns import cancel
from mailer.store.campaigns import Campaigns
from tests.chaos.proxy import Proxy
from tests.servers.waiting import eventually
from tests.store.batches import enqueue, open_campaign, outcomes


def test_how_many_were_cancelled_is_said_though_a_reply_was_lost(client, redis_url):
    open_campaign(client, "spring")
    enqueue(client, range(1, 11), "spring")
    open_campaign(client, "before")
    enqueue(client, [1], "before")
    assert cancel(Settings(redis=redis_url), "before") == 1  # by now Redis knows the script
    port = urlsplit(redis_url).port
    proxy = Proxy(port)
    try:
        settings = Settings(redis=redis_url.replace(f":{port}", f":{proxy.port}"))
        step = proxy.trap(b"spring\r\n$1\r\n1\r\n$1\r\n1\r\n$", after=True)
        with ThreadPoolExecutor(1) as beside:
            cancelled = beside.submit(cancel, settings, "spring")
            assert step.sprung.wait(120)
            eventually(lambda: outcomes(client, "spring").get("cancelled") == 10)
            proxy.cut()
            step.released.set()
            assert cancelled.result(30) == 10
    finally:
        proxy.close()


def test_one_call_cancels_no_more_than_redis_does_in_a_moment(client):
    open_campaign(client, "spring")
    for number in range(6):
        enqueue(client, range(400 * number, 400 * (number + 1)), "spring")
    steps = list(Campaigns(client).cancel_batches("spring"))
    assert steps == [1200, 1200]
    assert outcomes(client, "spring") == {"cancelled": 2400}
    assert list(Campaigns(client).cancel_batches("spring")) == [0]
