"""Which templates there are below a folder."""

from pathlib import Path
from typing import Final

MOST: Final = 500
"""Templates that are listed at most; a folder with more is no folder of templates."""

_DEEP: Final = 3  # folders between the root and a template's own


def template_names(root: Path) -> list[str]:
    """The names of the templates below *root*, sorted: paths of folders with a ``subject.txt``."""
    found: list[str] = []
    todo = [(root, 0)]
    while todo and len(found) < MOST:
        folder, depth = todo.pop()
        for inner in sorted(_folders(folder), reverse=True):
            if (inner / "subject.txt").is_file():
                found.append(inner.relative_to(root).as_posix())
            elif depth < _DEEP:
                todo.append((inner, depth + 1))
    return sorted(found)


def _folders(folder: Path) -> list[Path]:
    try:
        return [one for one in folder.iterdir() if one.is_dir() and not one.name.startswith(".")]
    except OSError:
        return []
