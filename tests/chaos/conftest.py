"""How many runs, and of what: a few for `make test`, hundreds for `make chaos`."""

import random
from collections import Counter

import pytest

from tests.chaos.world import Verdict, World

SHORT_RANDOM = 4
LONG_RANDOM = 150


def pytest_addoption(parser):
    parser.addoption("--runs", type=int, default=LONG_RANDOM, help="random runs with --long")
    parser.addoption("--seed", type=int, default=None, help="repeat the random run of this seed")
    parser.addoption("--seeds", metavar="FIRST-LAST", help="the random runs of these seeds")


def pytest_generate_tests(metafunc):
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", _seeds(metafunc.config))


def _seeds(config):
    given = config.getoption("--seed", default=None)
    if given is not None:
        return [given]
    if several := config.getoption("--seeds", default=None):
        first, _, last = several.partition("-")
        return range(int(first), int(last) + 1)
    if not config.getoption("--long"):
        return range(1, SHORT_RANDOM + 1)
    # Every worker of pytest-xdist must collect the same tests: the seeds are those of the day's run.
    run = random.Random(config.getoption("--runs"))
    return [run.randrange(1 << 31) for _ in range(config.getoption("--runs"))]


@pytest.fixture(autouse=True)
def tally(record_property):
    """Hand what the verdicts counted to the summary, from whichever process ran the test."""
    Verdict.passed.clear()
    yield
    for verdict in Verdict.passed:
        record_property("outcomes", verdict.outcomes | {"accepted twice": verdict.doubles})


def pytest_terminal_summary(terminalreporter):
    found = [
        counts
        for report in terminalreporter.getreports("")
        if report.when == "teardown"
        for name, counts in report.user_properties
        if name == "outcomes"
    ]
    if found:
        total = Counter()
        for counts in found:
            total.update(counts)
        said = ", ".join(f"{number:,} {word}" for word, number in total.items() if number)
        terminalreporter.write_line(f"{len(found)} campaigns under attack: {said or 'nothing'}")


@pytest.fixture(autouse=True)
def history(request, monkeypatch):
    """With --long the history is PostgreSQL's; else a file."""
    if request.config.getoption("--long"):
        monkeypatch.setattr(World, "history", request.getfixturevalue("postgres_url"))


@pytest.fixture
def world(tmp_path):
    with World(tmp_path / "world") as started:
        yield started
