"""Redis loads for seconds, or its disk is full: everybody waits, nobody is lost or mailed twice."""

import contextlib
import os
import subprocess
import sys

import pytest

from tests.chaos import assault
from tests.chaos.world import PATIENCE, Verdict, World, wait_until

pytestmark = [pytest.mark.chaos(long=True), pytest.mark.timeout(600)]

COUNT = 200


def words(world):
    return (world.folder / "worker.log").read_text()


def begun(world):
    """Two workers that are in the middle of a campaign."""
    world.wish({"delay": 0.05})
    workers = [world.start_worker(), world.start_worker("threads")]
    world.enqueue(COUNT)
    assault.after_accepted(world, 20)
    return workers


def is_well(world, workers):
    """Everybody got it once, and the workers go on."""
    Verdict(world, COUNT).is_once(at_most_uncertain=40)
    assert [worker.poll() for worker in workers] == [None, None]
    assert "Unrecoverable" not in words(world)


def test_a_redis_that_loads_for_seconds_is_waited_for_and_people_are_told(tmp_path):
    with World(tmp_path / "world") as world:
        workers = begun(world)
        assault.load_slowly(world, 8)
        status = world._start(sys.executable, "-m", "mailer", "status", log="status.log")
        assert status.wait(PATIENCE) != 0
        said = (world.folder / "status.log").read_text()
        assert "Redis is loading its data" in said, said
        wait_until(lambda: not assault.is_loading(world), what="Redis to have loaded")
        is_well(world, workers)


class SmallDisk(World):
    """Redis writes to a disk of four megabytes, and notices once a second what became of it."""

    appendfsync = "everysec"

    def start_redis(self, *settings):
        folder = self.folder / "redis"
        if not folder.is_mount():
            options = ["-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
            done = subprocess.run(["mount", *options], capture_output=True, check=False)
            if done.returncode:
                pytest.skip("only root may mount a small disk")
            self._stack.callback(subprocess.run, ["umount", "-l", str(folder)], check=False)
        super().start_redis("--appendfsync", self.appendfsync, *settings)

    def fill(self):
        """Leave no room."""
        with contextlib.suppress(OSError), (self.folder / "redis" / "ballast").open("wb") as file:
            while True:
                os.write(file.fileno(), bytes(4096))

    def make_room(self):
        (self.folder / "redis" / "ballast").unlink()


def test_a_full_disk_is_waited_for_until_there_is_room(tmp_path):
    with SmallDisk(tmp_path / "world") as world:
        workers = begun(world)
        world.fill()
        wait_until(lambda: "waiting for Redis" in words(world), what="workers to notice")
        pause = world._start(sys.executable, "-m", "mailer", "pause", "spring", log="pause.log")
        assert pause.wait(PATIENCE) != 0
        assert "cannot write to its disk" in (world.folder / "pause.log").read_text()
        world.make_room()
        is_well(world, workers)


class SureDisk(SmallDisk):
    """The same, where Redis answers once all is on the disk: it ends itself where that fails."""

    appendfsync = "always"


def test_a_redis_that_ends_itself_over_a_full_disk_is_waited_for_until_it_is_back(tmp_path):
    with SureDisk(tmp_path / "world") as world:
        workers = begun(world)
        world.fill()
        wait_until(lambda: world.redis.poll() is not None, what="Redis to end itself")
        wait_until(lambda: "waiting for Redis" in words(world), what="workers to notice")
        pause = world._start(sys.executable, "-m", "mailer", "pause", "spring", log="pause.log")
        assert pause.wait(PATIENCE) != 0
        assert "Redis cannot be reached" in (world.folder / "pause.log").read_text()
        world.make_room()
        world.start_redis()
        is_well(world, workers)
