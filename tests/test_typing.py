"""What type checkers say about users' slips: a wrong name or keyword is an error, not an `Any`."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
REFUSED = Path("tests/typing/refused.py")


def expected():
    lines = (ROOT / REFUSED).read_text(encoding="utf-8").splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("# refused")}


def test_mypy_refuses_each_slip_and_nothing_else():
    pytest.importorskip("mypy")
    words = [sys.executable, "-m", "mypy", "--strict", "--output", "json", str(REFUSED)]
    done = subprocess.run(words, cwd=ROOT, check=False, capture_output=True, text=True, timeout=240)
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert {one["line"] for one in found if one["severity"] == "error"} == expected(), done


def test_pyright_refuses_each_slip_and_nothing_else():
    program = shutil.which("basedpyright", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("basedpyright is not installed (make .venv/.lint)")
    words = [program, "--pythonpath", sys.executable, "--outputjson", "--level", "error"]
    done = subprocess.run(
        [*words, str(REFUSED)], cwd=ROOT, check=False, capture_output=True, text=True, timeout=240
    )
    found = json.loads(done.stdout)["generalDiagnostics"]
    assert {one["range"]["start"]["line"] + 1 for one in found} == expected(), done.stdout
