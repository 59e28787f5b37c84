"""Whether another distribution has put its files into our package.

``django-mailer`` installs a package of the same name, and pip lays one over the other without a word.
What then breaks names neither.
"""

from importlib import metadata
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parents[1]

OURS: Final = frozenset(
    {
        *("__init__.py", "__main__.py", "celery.py", "errors.py", "py.typed", "tasks.py"),
        "suppression.py",
        *("cli", "compose", "config", "deliver", "django", "feedback", "history", "local", "mail"),
        *("operate", "produce", "queues", "smtp", "store", "testing", "web", "worker"),
    }
)
"""What lies in our package's folder."""

DISTRIBUTION: Final = "celery-mailer"


def intrusion(package: Path = PACKAGE) -> str | None:
    """What is wrong with the package's folder, in one line for people; None where all is ours."""
    found = {one.name for one in package.iterdir() if one.suffix == ".py" or one.is_dir()}
    foreign = sorted(found - OURS - {"__pycache__"})
    if not foreign:
        return None
    owner = _owner(package, foreign[0])
    return (
        f"{owner or 'another distribution'} has put its files ({', '.join(foreign[:3])}…) into the "
        f"package 'mailer', which is {DISTRIBUTION}'s, too: pip uninstall {owner or 'it'}, then "
        f"pip install --force-reinstall {DISTRIBUTION}"
    )


def _owner(package: Path, name: str) -> str | None:
    """The distribution that *name* in our folder belongs to, as far as its record says."""
    for one in metadata.distributions(path=[str(package.parent)]):
        for file in one.files or ():
            if file.parts[:2] == (package.name, name):
                return str(one.metadata["Name"])
    return None
