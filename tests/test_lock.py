"""requirements.lock is what the Docker image installs: all that pyproject.toml wants, each by hash."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LOCKED = dict(
    re.findall(
        r"^([a-z0-9._-]+)==(\S+)", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE
    )
)


EXTRAS = ("flower", "web", "history", "metrics", "otel")
"""What the image can do: all that deploy/ and the Compose file start, with a history in PostgreSQL."""


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_names_every_dependency_in_a_version_that_will_do():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    versions = {canonical(name): version for name, version in LOCKED.items()}
    extras = [one for name in EXTRAS for one in project["optional-dependencies"][name]]
    for text in project["dependencies"] + extras:
        wanted = Requirement(text)
        assert versions[canonical(wanted.name)] in wanted.specifier, text


def test_every_package_has_its_hashes():
    text = (ROOT / "requirements.lock").read_text("utf-8")
    for entry in re.split(r"\n(?=[a-z0-9])", text.strip()):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry.partition("\n")[0]
