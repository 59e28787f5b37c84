"""A right that is taken away between two calls: a script does all that it is to do, or nothing."""

import pytest

from mailer.errors import RedisRefusesError
from mailer.mail.status import Status
from mailer.store.campaigns import PAUSED, Campaigns
from mailer.store.connection import connect
from mailer.store.ledger import Burial, Ledger, Settlement
from mailer.store.waiting import Waiting
from tests.servers.redis_servers import redis_process
from tests.store.batches import LEASE, NOW, claim, detail, enqueue, entry, fresh, open_campaign
from tests.store.batches import outcomes as outcomes_of
from tests.store.test_addresses import RIGHTS
from tests.store.test_tables import SCRIPTS, calls

pytestmark = pytest.mark.redis_server

COMMANDS = sorted({one[0].strip("'") for one in calls(SCRIPTS["serves.lua"])})


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("redis")
    with redis_process(folder, f"user mailer on >x {RIGHTS}") as server:
        yield server


def steps(client):
    """What is done with three batches, each step by one script."""
    ledger, ref = Ledger(client), Campaigns(client).next_batch("spring")
    (first, _), (second, _) = enqueue(client, [1, 2]), enqueue(client, [3, 4])
    leases = {}

    def take(ref):
        leases[ref] = claim(client, ref)

    def settle():
        lease = leases[first]
        one, other = lease.positions
        settled = [
            Settlement(one, Status.ACCEPTED, known=True),
            Settlement(other, Status.DEFERRED, detail(2)),
        ]
        ledger.commit(lease, settled, (), NOW, NOW + LEASE)

    def bury():
        lease = leases[second]
        burial = Burial("dead", Status.DEAD, "bad", b"bad", lease.positions, b"payload")
        ledger.bury(lease, burial, NOW)

    return [
        lambda: ledger.enqueue(
            ref,
            run=1,
            queue="bulk",
            account="primary",
            payload=entry(5).message.content[0],
            recipients=[fresh(5)],
            now=NOW,
        ),
        lambda: take(first),
        lambda: take(second),
        settle,
        lambda: ledger.wait(leases[first], NOW, NOW + 60),
        bury,
        lambda: list(Waiting(client).sweep(NOW + 61)),
        lambda: Campaigns(client).set_state("spring", PAUSED),
    ]


def everything(admin):
    return {key: admin.dump(key) for key in admin.keys("*")}


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_right_a_script_does_nothing_and_with_it_all(server, command) -> None:
    admin, client = server.admin(), connect(f"redis://mailer:x@127.0.0.1:{server.port}/0")
    admin.flushall()
    open_campaign(client)
    try:
        for step in steps(client):
            before, refused = everything(admin), ""
            admin.execute_command("ACL", "SETUSER", "mailer", f"-{command}")
            try:
                step()
            except RedisRefusesError as exc:
                refused = str(exc)
            admin.execute_command("ACL", "SETUSER", "mailer", f"+{command}")
            if refused:
                assert everything(admin) == before
                assert f"may not call {command}" in refused
                step()
        assert outcomes_of(client) == {"accepted": 1, "deferred": 1, "queued": 1, "dead": 2}
    finally:
        client.close()
