"""Whether two messages with the same key are the same: a digest of what they were made of."""

import json
from collections.abc import Mapping
from email.message import Message
from hashlib import blake2b
from typing import Any, Final

# Headers that may differ each time that the same message is made; Content-Type has a boundary.
_PASSING: Final = frozenset({"date", "message-id", "mime-version", "content-type"})


def digest_of(*things: object) -> str:
    """A digest of *things* that is the same in every process and for every order of a mapping."""
    text = json.dumps(things, sort_keys=True, default=_told, separators=(",", ":"))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def digest_of_message(message: "Message[Any, Any]", *envelope: object) -> str:
    """A digest of a message's headers and parts; its Date, Message-ID and boundaries do not count."""
    headers = [
        (name.lower(), str(value))
        for name, value in message.items()
        if name.lower() not in _PASSING
    ]
    parts = []
    for part in message.walk():
        if not part.is_multipart():
            content = part.get_payload(decode=True)
            body = content if isinstance(content, bytes) else str(content).encode()
            parts.append((part.get_content_type(), part.get_filename(), _hash(body)))
    return digest_of(headers, parts, *envelope)


def _hash(octets: bytes) -> str:
    return blake2b(octets, digest_size=16).hexdigest()


def _told(value: object) -> Any:
    """Something that JSON can say of *value*, the same in every process."""
    if isinstance(value, Mapping):
        return {str(name): inner for name, inner in value.items()}
    if isinstance(value, bytes):
        return _hash(value)
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    kind = type(value)
    # The text of such an object holds its address in memory, which is another one in each process.
    silent = kind.__repr__ is object.__repr__ and kind.__str__ is object.__str__
    return kind.__qualname__ if silent else f"{kind.__qualname__}:{value}"
