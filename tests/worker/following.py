"""A follower that reads all that there is."""

from mailer.worker.followers import GATHER, POLL


def read_all(follower):
    while (wait := follower.step()) != POLL:
        assert wait in (0.0, GATHER), "it reads, and nothing is in its way"
