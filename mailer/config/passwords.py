"""How the password of a person is kept: as a salted scrypt hash, which says how it was made."""

import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from os import urandom
from typing import Final

# 16 MiB and some 50 ms for each guess (OWASP's cheat sheet on password storage, 2024).
_COST: Final = 14
_BLOCK: Final = 8
_LANES: Final = 5
_LONGEST: Final = 1024
_HASH: Final = re.compile(
    r"scrypt\$(1[0-7])\$([1-9]|1[0-6])\$([1-9]|1[0-6])\$([A-Za-z0-9+/]{22}==)\$([A-Za-z0-9+/]{43}=)"
)


def hashed(password: str) -> str:
    """Return *password* as it is kept in the configuration."""
    salt = urandom(16)
    return _kept(salt, _scrypt(password, salt, _COST, _BLOCK, _LANES))


def nobodys() -> str:
    """Return a hash that no password has, and that takes as long to try as any."""
    return _kept(urandom(16), urandom(32))


def is_hash(kept: str) -> bool:
    """Whether *kept* is what `hashed` returns."""
    return _HASH.fullmatch(kept) is not None


def matches(password: str, kept: str) -> bool:
    """Whether *password* is the one of *kept*; takes as long where it is not."""
    match = _HASH.fullmatch(kept)
    if match is None or len(password) > _LONGEST:
        return False
    cost, block, lanes = (int(match[number]) for number in (1, 2, 3))
    found = _scrypt(password, b64decode(match[4]), cost, block, lanes)
    return hmac.compare_digest(found, b64decode(match[5]))


def _kept(salt: bytes, found: bytes) -> str:
    return f"scrypt${_COST}${_BLOCK}${_LANES}${_written(salt)}${_written(found)}"


def _scrypt(password: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    octets = password.encode("utf-8", "surrogatepass")
    memory = 256 * block * 2**cost
    return hashlib.scrypt(octets, salt=salt, n=2**cost, r=block, p=lanes, maxmem=memory, dklen=32)


def _written(octets: bytes) -> str:
    return b64encode(octets).decode()
