"""Another distribution's files in our package are noticed, and named."""

import subprocess
import sys

import pytest

from mailer.config.neighbours import OURS, PACKAGE, intrusion


@pytest.fixture
def site(tmp_path):
    """A folder of packages with one that looks like ours."""
    for name in OURS:
        place = tmp_path / "mailer" / name
        if place.suffix:
            place.parent.mkdir(exist_ok=True)
            place.touch()
        else:
            place.mkdir(parents=True)
    (tmp_path / "mailer" / "__pycache__").mkdir()
    return tmp_path


def theirs(site, name, *files):
    """As pip installs another distribution there."""
    info = site / f"{name.replace('-', '_')}-2.3.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.3.2\n")
    (info / "RECORD").write_text("".join(f"mailer/{file},,\n" for file in files))
    for file in files:
        (site / "mailer" / file).parent.mkdir(exist_ok=True)
        (site / "mailer" / file).write_text("")


def test_what_is_ours_is_known():
    there = {one.name for one in PACKAGE.iterdir()} - {"__pycache__"}
    assert there == OURS
    assert intrusion() is None


def test_the_package_alone_is_no_intrusion(site):
    assert intrusion(site / "mailer") is None


def test_who_has_put_files_there_is_named_in_one_line(site):
    theirs(site, "django-mailer", "__init__.py", "engine.py", "management/helpers.py")
    said = intrusion(site / "mailer")
    assert said is not None
    assert said.startswith("django-mailer has put its files (engine.py, management")
    assert "pip uninstall django-mailer" in said
    assert "\n" not in said


def test_files_that_no_record_names_are_told_too(site):
    (site / "mailer" / "models.py").write_text("")
    assert "another distribution has put its files (models.py" in str(intrusion(site / "mailer"))


def test_the_command_line_says_it(tmp_path):
    """A copy of the package, with a file of django-mailer's in it."""
    code = (
        "import shutil, sys; from pathlib import Path; import mailer.config.neighbours as n;"
        f"shutil.copytree(n.PACKAGE, {str(tmp_path / 'mailer')!r});"
        f"Path({str(tmp_path / 'mailer' / 'engine.py')!r}).touch()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=180)
    done = subprocess.run(
        [sys.executable, "-c", "from mailer.cli import main; main(['explain', 'AUTH', '535 no'])"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=180,
    )
    assert done.stderr.count("\n") == 1
    assert "engine.py" in done.stderr
