"""A `World` whose Redis has two replicas and a Sentinel, and what is done to its master."""

import contextlib
import signal

import redis

from mailer.store.connection import connect
from tests.chaos import assault
from tests.chaos.world import PATIENCE, World
from tests.servers.redis_servers import eventually, replicated


class GuardedWorld(World):
    """Redis as people run it who want no outage; a master without replicas takes no writes."""

    def start_redis(self):
        self.servers = self._stack.enter_context(
            replicated(self.folder / "redis", 2, "min-replicas-to-write 1")
        )

    def address(self, database):
        return self.servers.url.removesuffix("0") + str(database)

    def connect(self):
        """For as long as it takes: between two masters nobody answers."""
        return connect(self.address(0), lambda: True)

    def is_whole(self):
        eventually(self.servers.is_whole, PATIENCE)


def failover(world, workers, rng):
    """A planned failover."""
    world.is_whole()
    before = world.servers.master()
    world.servers.fail_over()
    eventually(lambda: world.servers.master() is not before, PATIENCE)


def dead_master(world, workers, rng):
    """``kill -9`` of the master, which comes back later as a replica."""
    world.is_whole()
    before = world.servers.master()
    before.process.kill()
    eventually(lambda: world.servers.master() is not before, PATIENCE)
    assault.elapse(rng.uniform(0, 2))
    before.again()


def frozen_master(world, workers, rng):
    """The master stands still, long enough to be deposed or not, and comes back as if nothing were."""
    world.is_whole()
    process = world.servers.master().process
    process.send_signal(signal.SIGSTOP)
    assault.elapse(rng.uniform(0.5, 6))
    process.send_signal(signal.SIGCONT)


def dead_replica(world, workers, rng):
    """``kill -9`` of a replica: the other one is enough, once Sentinel has noticed."""
    world.is_whole()
    master = world.servers.master()
    victim = rng.choice([one for one in world.servers.servers if one is not master])
    victim.process.kill()
    assault.elapse(rng.uniform(0, 3))
    victim.again()


def lost_connections(world, workers, rng):
    """All connections to the master are reset, those for broadcasts, too."""
    admin = world.servers.master().admin()
    with contextlib.suppress(redis.RedisError):
        for kind in ("normal", "pubsub"):
            admin.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


ALL = (
    failover,
    dead_master,
    frozen_master,
    dead_replica,
    lost_connections,
    assault.child,
    assault.host,
    assault.stop,
    assault.server,
    assault.network,
    assault.frozen_worker,
)
