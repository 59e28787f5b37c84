"""Who may log in with a name and a password, and how guessing is slowed."""

import hashlib
import hmac
import logging
import threading
from collections import OrderedDict
from os import urandom
from pathlib import Path
from time import monotonic
from typing import Final, cast

from mailer.config import Role, User, Web
from mailer.config.passwords import is_hash, matches, nobodys
from mailer.errors import ConfigError

FREE_GUESSES: Final = 5
"""Wrong passwords from one address, or for one name, before further ones have to wait."""

LONGEST_WAIT: Final = 300.0
"""Seconds that the next guess waits at most."""

_KEPT: Final = 10_000

log = logging.getLogger("mailer.audit")


class People:
    """The users of the configuration and of its file, which is read again when it has changed."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self._stamp: tuple[int, int] | None = None
        self._of_file: dict[str, User] = {}
        self._nobody = nobodys()
        self._proof = urandom(32)
        self._proven: OrderedDict[bytes, None] = OrderedDict()
        self._one_at_a_time = threading.Lock()
        if web.users_file:
            self._of_file = read_users(web.users_file)

    def named(self, name: str) -> User | None:
        """The user of that name."""
        return self._web.users.get(name) or self._read().get(name)

    def is_proven(self, name: str, password: str) -> bool:
        """Whether this password was found right before, and is still the user's."""
        user = self.named(name)
        return user is not None and self._mark(name, password, user) in self._proven

    def prove(self, name: str, password: str) -> User | None:
        """The user of that name and password; takes as long where there is none. Blocks for 50 ms."""
        user = self.named(name)
        with self._one_at_a_time:  # who guesses shall not have all cores
            right = matches(password, user.password if user else self._nobody)
        if user is None or not right:
            return None
        self._proven[self._mark(name, password, user)] = None
        while len(self._proven) > _KEPT:
            self._proven.popitem(last=False)
        return user

    def _mark(self, name: str, password: str, user: User) -> bytes:
        """Something that stands for a right password, in this process only."""
        said = f"{name}\0{password}\0{user.password}".encode("utf-8", "surrogatepass")
        return hmac.new(self._proof, said, hashlib.sha256).digest()

    def _read(self) -> dict[str, User]:
        file = self._web.users_file
        if file is None:
            return {}
        try:
            seen = file.stat()
            stamp = (seen.st_mtime_ns, seen.st_size)
            if stamp != self._stamp:
                self._of_file = read_users(file)
                self._stamp = stamp
        except (OSError, ConfigError) as exc:
            # Who is logged in stays so; a file that is half written is read again at the next request.
            log.warning("the users of the console are as before: %s", exc)
        return self._of_file


def read_users(file: Path) -> dict[str, User]:
    """The users in *file*, a line ``name:role:hash`` each. Raises `ConfigError` with the line."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"web.users_file: {file} cannot be read: {exc}") from exc
    found = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, role, kept = ([*line.strip().split(":", 2), "", ""])[:3]
        if not name or role not in ("viewer", "operator") or not is_hash(kept):
            raise ConfigError(
                f"web.users_file: {file}, line {number}: must be name:viewer:hash or "
                "name:operator:hash; `mailer web user NAME` writes one"
            )
        found[name] = User(password=kept, role=cast("Role", role))
    return found


class Guesses:
    """How long the next guess has to wait, by where it comes from or whose password is guessed."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, *sources: str) -> float:
        """Seconds until a guess from all of *sources* is looked at; 0.0 for now."""
        now = monotonic()
        return max(0.0, *(self._until(source) - now for source in sources))

    def wrong(self, *sources: str) -> None:
        """Count a wrong guess."""
        for source in sources:
            number, _ = self._wrong.pop(source, (0, 0.0))
            self._wrong[source] = (number + 1, monotonic())
        while len(self._wrong) > _KEPT:
            self._wrong.popitem(last=False)

    def right(self, *sources: str) -> None:
        """Forget what was wrong before."""
        for source in sources:
            self._wrong.pop(source, None)

    def _until(self, source: str) -> float:
        number, at = self._wrong.get(source, (0, 0.0))
        if number < FREE_GUESSES:
            return 0.0
        return at + min(2.0 ** min(number - FREE_GUESSES, 20), LONGEST_WAIT)
