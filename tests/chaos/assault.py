"""What is done to the processes of a `World`, by name; each leaves it in a state to recover from."""

import contextlib
import os
import signal
import threading
from pathlib import Path

from redis import Redis
from redis import exceptions as redis_errors
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.chaos.world import PATIENCE, children, kill_child, kill_host, wait_until
from tests.conftest import free_port


def elapse(seconds):
    """An outage lasts."""
    threading.Event().wait(seconds)


def child(world, workers, rng):
    """``kill -9`` of a pool process; the worker makes another."""
    kill_child(rng.choice(workers))


def host(world, workers, rng):
    """``kill -9`` of a worker with all its processes; another host takes its place."""
    victim = rng.choice(workers)
    kill_host(victim)
    workers.remove(victim)
    workers.append(world.start_worker(concurrency=rng.choice([1, 2])))


def stop(world, workers, rng):
    """SIGTERM to a worker, as in a deployment; another takes its place."""
    victim = rng.choice(workers)
    # One that is still being imported has no handler, and ends of the signal; children it may have.
    wait_until(lambda: children(victim) and _minds_term(victim), what="the worker to start")
    victim.terminate()
    assert victim.wait(PATIENCE) == 0, world.words()
    workers.remove(victim)
    workers.append(world.start_worker(concurrency=rng.choice([1, 2])))


def _minds_term(process):
    """Whether the process has a handler for SIGTERM."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


def redis(world, workers, rng):
    """``kill -9`` of Redis, which comes back with its append-only file."""
    kill_host(world.redis)
    elapse(rng.uniform(0, 1))
    world.start_redis()


def loading_redis(world, workers, rng):
    """Redis comes back with so much data that it takes seconds to load."""
    load_slowly(world, rng.uniform(1, 4))
    wait_until(lambda: not is_loading(world), what="Redis to have loaded its data")


def load_slowly(world, seconds):
    """Restart Redis; it answers LOADING for about that long."""
    # It answers while it reads a snapshot, and not while it plays what was appended since.
    world.client.bgrewriteaof()
    wait_until(lambda: not world.client.info("persistence")["aof_rewrite_in_progress"])
    pause = int(seconds * 1e6 / world.client.dbsize())
    kill_host(world.redis)
    world.start_redis("--loading-process-events-interval-bytes", "1024", "--key-load-delay", pause)


def is_loading(world):
    with contextlib.suppress(redis_errors.RedisError), Redis(port=world.redis_port) as admin:
        return bool(admin.info("persistence")["loading"])
    return True


def frozen_redis(world, workers, rng):
    """Redis stands still for longer than a lease."""
    world.redis.send_signal(signal.SIGSTOP)
    elapse(rng.uniform(1, 4))
    world.redis.send_signal(signal.SIGCONT)


def redis_connections(world, workers, rng):
    """All connections to Redis are reset: a failover, a firewall."""
    for kind in ("normal", "pubsub"):
        world.client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


def redis_network(world, workers, rng):
    """Nothing gets through between the ledger and its workers for a while."""
    with world.redis_proxy.silence():
        elapse(rng.uniform(0.5, 4))
    world.redis_proxy.cut()


def _for_a_while(rng, begin, end):
    begin()
    elapse(rng.uniform(0.5, 4))
    end()


def full_redis(world, workers, rng):
    """Redis is out of memory, and takes no writes."""
    size = world.client.config_set
    _for_a_while(rng, lambda: size("maxmemory", "1"), lambda: size("maxmemory", "0"))


def unsaved_redis(world, workers, rng):
    """Snapshots fail, as on a full disk, and Redis takes no writes."""
    client = world.client
    taken = world.folder / "redis" / "taken"
    taken.mkdir(exist_ok=True)  # where the file should be, there is a folder
    client.config_set("dbfilename", taken.name)
    client.config_set("save", "3600 1")
    with contextlib.suppress(redis_errors.ResponseError):  # one is under way: it fails as well
        client.bgsave()
    wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
    _for_a_while(rng, lambda: None, lambda: client.config_set("save", ""))


def alone_redis(world, workers, rng):
    """Redis misses its replicas, and takes no writes."""
    wants = world.client.config_set
    least = "min-replicas-to-write"
    _for_a_while(rng, lambda: wants(least, "1"), lambda: wants(least, "0"))


def replica_redis(world, workers, rng):
    """Redis is somebody's replica by mistake, and takes no writes."""
    follow = world.client.replicaof
    _for_a_while(rng, lambda: follow("127.0.0.1", free_port()), lambda: follow("NO", "ONE"))


def busy_redis(world, workers, rng):
    """Somebody's script does not end, until somebody kills it."""
    world.client.config_set("busy-reply-threshold", "50")
    endless = Redis(port=world.redis_port, retry=Retry(NoBackoff(), 0))

    def run():
        with contextlib.suppress(redis_errors.RedisError):
            endless.eval("while true do end", 0)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    elapse(rng.uniform(0.5, 4))

    def is_over():
        with contextlib.suppress(redis_errors.RedisError), Redis(port=world.redis_port) as killer:
            killer.script_kill()
        return not thread.is_alive()

    wait_until(is_over, what="the end of the script")
    endless.close()
    world.client.config_set("busy-reply-threshold", "5000")


def server(world, workers, rng):
    """``kill -9`` of the mail server, which comes back."""
    kill_host(world.smtp)
    elapse(rng.uniform(0, 0.5))
    world.start_smtp()


def network(world, workers, rng):
    """All connections to the mail server are reset."""
    world.smtp_proxy.cut()


def frozen_worker(world, workers, rng):
    """A worker stands still for longer than its lease, and then goes on as if nothing were."""
    victim = rng.choice(workers)
    everyone = [victim.pid, *children(victim)]
    for process in everyone:
        os.kill(process, signal.SIGSTOP)
    elapse(rng.uniform(1, 4))
    for process in everyone:
        os.kill(process, signal.SIGCONT)


ALL = (
    child,
    host,
    stop,
    redis,
    loading_redis,
    frozen_redis,
    redis_connections,
    redis_network,
    full_redis,
    unsaved_redis,
    alone_redis,
    replica_redis,
    busy_redis,
    server,
    network,
    frozen_worker,
)


def after_accepted(world, number):
    """Wait until the mail server has accepted so many messages, or all is over."""
    wait_until(
        lambda: len(world.events("accepted")) >= number or _is_over(world),
        what=f"{number} accepted",
    )


def _is_over(world):
    found = world.outcomes()
    return bool(found) and not (found.get("queued") or found.get("deferred"))
