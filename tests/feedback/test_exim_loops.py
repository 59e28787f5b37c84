"""From `send` to `bounced` in `status` with Exim as the receiver that bounces, and a vacation among it.

Whoever reads is killed before a bounce is written down, or after it is and before it says so: it is
counted once, and none is lost.
"""

import contextlib
import json
import os
import shutil

import pytest

from mailer import Campaign
from mailer.config import load
from mailer.deliver.delivery import Delivery
from mailer.mail.barring.scopes import ALL
from mailer.mail.recipients import fingerprint
from mailer.store.suppression import Suppression
from tests.chaos.proxy import Proxy
from tests.chaos.world import script_needle
from tests.conftest import PLACES, free_port
from tests.servers.bouncing import reader
from tests.servers.cluster import eventually
from tests.servers.returning_exim import LDA, returning_exim
from tests.servers.shop import work

pytestmark = [
    pytest.mark.exim,
    pytest.mark.dovecot,
    pytest.mark.xdist_group("loops"),
    pytest.mark.skipif(os.geteuid() != 0, reason="Exim is started by root only"),
    pytest.mark.skipif(not shutil.which("exim4", path=PLACES), reason="exim4 is not installed"),
    pytest.mark.skipif(not LDA.exists(), reason="Dovecot's delivery agent is not installed"),
    pytest.mark.timeout(240),
]

PEOPLE = ("no1", "no2", "here", "zoe")


@pytest.fixture(scope="module")
def lmtp():
    return free_port()


@pytest.fixture(scope="module")
def exim(lmtp):
    with returning_exim(lmtp) as running:
        yield running


@pytest.fixture
def shop(place, exim):
    (place / "secret").write_text("s\n")
    (place / "secret").chmod(0o600)
    file = place / "mailer.toml"
    text = file.read_text().replace("smtp://localhost:1", f"smtp://127.0.0.1:{exim.port}")
    file.write_text(
        f'{text}[feedback]\nreturn_path = "bounces@mail.shop.example"\nsecret_file = "secret"\n'
        "workers_poll = false\n"
    )
    return load(file)


def sent(settings, client, name):
    """The campaign of that name, once the server has taken all of it."""
    campaign = Campaign(name, template="hello", context={"season": "May"}, settings=settings)
    campaign.enqueue([{"email": f"{who}@gone.example", "name": who} for who in PEOPLE])
    with contextlib.closing(Delivery(settings, client)) as delivery:
        work(delivery, client)
    assert campaign.status().outcomes["accepted"] == len(PEOPLE)
    return campaign


# Each under a name of its own, and so with other return paths: a vacation answers each of them once.
@pytest.mark.parametrize(
    ("name", "written"),
    [
        pytest.param("spring", False, id="before it is written down"),
        pytest.param("summer", True, id="after it is written down"),
    ],
)
def test_a_reader_is_killed_and_each_bounce_counts_once_and_a_vacation_for_nothing(
    shop, client, place, mailer, lmtp, redis_url, name, written
):
    proxy = Proxy(int(redis_url.rpartition(":")[2].partition("/")[0]))
    environ = {n: v for n, v in os.environ.items() if not n.startswith("MAILER_")}
    environ |= {"MAILER_REDIS": f"redis://127.0.0.1:{proxy.port}/0"}
    words = ("serve", "--listen", f"127.0.0.1:{lmtp}")
    trap = proxy.trap(script_needle("come_back"), skip=1, after=written)
    first = reader(*words, folder=place, environ=environ)
    try:
        campaign = sent(shop, client, name)
        eventually(trap.sprung.is_set, within=90)
    finally:
        first.kill()
        first.communicate(timeout=120)
        trap.released.set()
    second = reader(*words, folder=place, environ=environ)
    expected = {"bounce": 2, "permanent": 2, "auto_reply": 1}
    try:
        eventually(lambda: campaign.status().came_back == expected, within=90)
    finally:
        second.terminate()
        second.communicate(timeout=120)
        proxy.close()

    barred = Suppression(client).among([fingerprint(f"{who}@gone.example") for who in PEOPLE], ALL)
    assert list(barred) == [True, True, False, False]
    said = [json.loads(line) for line in mailer("failures", name, "--json").out.splitlines()]
    assert sorted(one["email"] for one in said) == ["no1@gone.example", "no2@gone.example"]
    assert "of these 2 bounced" in mailer("status", name).out


@pytest.mark.skipif(
    "not config.getoption('--long', default=False)",
    reason="thousands of messages through an Exim; pytest --long tests/chaos tests/feedback",
)
def test_a_campaign_of_which_15_percent_bounce_by_dsn_pauses_itself(
    shop, client, place, mailer, lmtp, record_property
):
    """Each message is taken with a 250; the DSNs come while the campaign is sent."""
    environ = {n: v for n, v in os.environ.items() if not n.startswith("MAILER_")}
    campaign = Campaign("spring", template="hello", batch_size=20, settings=shop)
    names = [f"{'no' if number % 20 < 3 else 'u'}{number}" for number in range(2000)]
    campaign.enqueue(
        [{"email": f"{name}@gone.example", "name": name, "season": "May"} for name in names]
    )
    delivery = Delivery(shop, client)
    listener = reader("serve", "--listen", f"127.0.0.1:{lmtp}", folder=place, environ=environ)
    try:
        work(delivery, client)
        eventually(lambda: campaign.status().state == "paused", within=120)
        progress = campaign.status()
        accepted = progress.outcomes["accepted"]
        record_property("paused_at", f"paused at {accepted} of 2,000 accepted: {progress.why}")
        assert accepted >= 200
        assert accepted + progress.outcomes["queued"] == 2000
        assert "bounced for good" in progress.why
        assert "bounced" in mailer("status", "spring").out
        mailer("resume", "spring", "--accept-rate")
        assert campaign.status().state == "running"
    finally:
        delivery.close()
        listener.terminate()
        listener.communicate(timeout=120)
