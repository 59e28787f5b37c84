"""A TZ that names nothing is said: the system takes UTC for it, in silence."""

import subprocess
import sys

import pytest

from mailer.config.clock import unknown_zone

KNOWN = [
    "",
    "UTC",
    ":UTC",
    "UTC0",
    "CET-1CEST,M3.5.0,M10.5.0/3",
    "<+0330>-3:30",
    "EST5EDT",
]
UNKNOWN = [
    "Europe/Berln",
    ":Europe/Berln",
    "Berlin",
    "Mars/Phobos",
    "Foo",
    "/etc/no-such",
    "+2",
    "é",
]


def offset(zone):
    """What the system makes of it."""
    script = "import time; print(time.localtime().tm_gmtoff)"
    found = subprocess.run(
        [sys.executable, "-c", script], env={"TZ": zone}, capture_output=True, check=True, text=True
    )
    return int(found.stdout)


@pytest.mark.parametrize("zone", KNOWN)
def test_what_the_system_understands_is_well(zone):
    assert unknown_zone({"TZ": zone}) == ""


@pytest.mark.parametrize("zone", UNKNOWN)
def test_what_it_does_not_is_named(zone):
    assert unknown_zone({"TZ": zone}).startswith(f"TZ={zone}: ")
    assert offset(zone) == 0


def test_no_tz_is_the_machine_s_own():
    assert unknown_zone({}) == ""


def test_a_zone_of_the_system_s_files_is_known(tmp_path):
    (tmp_path / "Europe").mkdir()
    (tmp_path / "Europe" / "Berlin").write_bytes(b"TZif")
    there = {"TZDIR": str(tmp_path)}
    assert unknown_zone({"TZ": "Europe/Berlin", **there}) == ""
    assert unknown_zone({"TZ": f":{tmp_path}/Europe/Berlin", **there}) == ""
    assert "tzdata" in unknown_zone({"TZ": "Europe/Paris", **there})
