"""Processes, seen from outside."""

from pathlib import Path


def is_alive(pid):
    """Whether *pid* runs and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
