"""requirements.lock is what the Docker image and CI install: all that is wanted there, each by hash."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text("utf-8")
LOCKED = [
    Requirement(line.removesuffix("\\"))
    for line in re.findall(r"^[a-z0-9._-]+==.*", LOCK, re.MULTILINE)
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

EXTRAS = ("flower", "web", "history", "metrics", "otel")
"""What the image can do: all that deploy/ and the Compose file start, with a history in PostgreSQL."""

NOT_IN_THE_IMAGE = ("django", "dns", "keyring", "local", "mjml", "testing", "xlsx")
"""For an application of one's own, for a desk, or for tests."""

WANTED = [
    Requirement(text)
    for texts in (PROJECT["dependencies"], *map(PROJECT["optional-dependencies"].get, EXTRAS))
    for text in texts
]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_names_every_dependency_in_a_version_that_will_do():
    pins = {canonical(one.name): one.specifier for one in LOCKED}
    for wanted in WANTED:
        (pin,) = pins[canonical(wanted.name)]
        assert pin.version in wanted.specifier, wanted


def test_it_is_decided_of_every_extra_whether_the_image_has_it():
    assert {*EXTRAS, *NOT_IN_THE_IMAGE} == set(PROJECT["optional-dependencies"])


@pytest.mark.parametrize("python", ["3.11.2", "3.11.9", "3.12.1", "3.13.0", "3.14.0"])
def test_whatever_a_python_wants_is_named_for_it(python):
    """Python before 3.11.3, as Debian 12 has it, wants a package that later ones do without."""
    version, _, _ = python.rpartition(".")
    system = {"python_version": version, "python_full_version": python}
    found = set(_all_wanted(WANTED, system))
    assert len(found) > len(WANTED), "what packages want themselves, too"
    assert found <= {canonical(one.name) for one in LOCKED if _applies(one, system)}


def _all_wanted(wanted: Iterable[Requirement], system: Mapping[str, str]) -> Iterator[str]:
    """The names of *wanted* and of all that they want, as far as they are installed here."""
    todo, seen = list(wanted), set()
    while todo:
        one = todo.pop()
        if not _applies(one, system) or (one.name, *one.extras) in seen:
            continue
        seen.add((one.name, *one.extras))
        yield canonical(one.name)
        try:
            texts = requires(one.name) or ()
        except PackageNotFoundError:
            continue
        for each in map(Requirement, texts):
            if _applies(each, system, one.extras):
                each.marker = None  # it has been asked, with the extras that it is about
                todo.append(each)


def _applies(one: Requirement, system: Mapping[str, str], extras: Iterable[str] = ()) -> bool:
    return one.marker is None or any(
        one.marker.evaluate({**system, "extra": extra}) for extra in ("", *extras)
    )


def test_every_package_has_its_hashes():
    for entry in re.split(r"\n(?=[a-z0-9])", LOCK.strip()):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry.partition("\n")[0]
