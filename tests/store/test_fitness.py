"""A Redis that evicts is refused, one that forgets is warned of, and a junk record stops nobody."""

from pathlib import Path

import pytest

from mailer.errors import ConfigError
from mailer.mail.policy import CampaignPolicy
from mailer.store import Store
from mailer.store.connection import Client, connect
from mailer.store.ledger import Claim, Fresh
from mailer.store.reach.fitness import refuse_eviction, warning
from tests.servers.redis_servers import redis_process

NOW = 1_795_392_000.0


def begun(store: Store) -> None:
    """A campaign with one recipient."""
    store.campaigns.open(
        "c", digest="d", summary={}, policy=CampaignPolicy(), accept_changes=False, now=NOW
    )
    store.ledger.enqueue(
        "c:1",
        run=1,
        queue="bulk",
        account="a",
        payload=b"x",
        recipients=[Fresh(b"recipien", 7)],
        now=NOW,
    )


@pytest.mark.redis_server
def test_a_redis_that_evicts_takes_no_campaign(tmp_path: Path) -> None:
    with redis_process(tmp_path, "maxmemory 100mb", "maxmemory-policy allkeys-lru") as server:
        with pytest.raises(ConfigError, match="allkeys-lru"):
            begun(Store(connect(server.url)))
        server.admin().config_set("maxmemory-policy", "noeviction")
        refuse_eviction(connect(server.url))


@pytest.mark.redis_server
@pytest.mark.parametrize(
    ("settings", "warns"),
    [(['save ""'], True), (['save ""', "appendonly yes"], False), (["save 3600 1"], False)],
)
def test_a_redis_that_keeps_nothing_is_warned_of(
    tmp_path: Path, settings: list[str], *, warns: bool
) -> None:
    with redis_process(tmp_path, *settings) as server:
        assert (warning(connect(server.url)) is not None) is warns


def test_what_an_account_heard_and_cannot_be_read_stops_nobody(client: Client) -> None:
    store = Store(client)
    store.breaker.stop("a", "operator", NOW)
    client.hset("mailer:account:a", "said", b"junk")

    (state,) = store.breaker.all(NOW)
    assert state.state == "stopped"
    assert "cannot be read" in state.said.text


def test_a_detail_of_another_version_stops_neither_failures_nor_the_batch(client: Client) -> None:
    store = Store(client)
    begun(store)
    client.hset("mailer:detail:c", "0", b"\x92\x63\x01")

    (failure,) = store.campaigns.failures("c")
    assert "version 99" in failure.detail.text
    assert isinstance(store.ledger.claim("c:1", "w", NOW, NOW + 15), Claim)


def test_a_ledger_that_was_emptied_takes_no_further_batch_and_keeps_no_half_campaign(
    client: Client,
) -> None:
    store = Store(client)
    begun(store)
    client.flushall()
    ref = store.campaigns.next_batch("c")
    done = store.ledger.enqueue(
        ref,
        run=1,
        queue="bulk",
        account="a",
        payload=b"x",
        recipients=[Fresh(b"another1", 7)],
        now=NOW,
    )

    assert done.state == "gone"
    assert client.keys("*") == []
