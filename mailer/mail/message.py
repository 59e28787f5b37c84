"""What a finished mail is: an envelope and content, large parts by reference.

The content of a message is a tuple of chunks. A chunk is either bytes of this message alone or a
`SharedPart`, which stands for bytes that many messages of a campaign have in common (an attachment
in base64) and that are stored once. The chunks put together are the content as RFC 5322 and RFC
5321 section 2.3.8 want it: lines end in CRLF, nothing is dot-stuffed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

from mailer.errors import PayloadError


@dataclass(frozen=True, slots=True)
class SharedPart:
    """A reference to bytes that several messages share.

    *digest* is the SHA-256 of the bytes in hex, *size* their number of octets.
    """

    digest: str
    size: int

    @classmethod
    def of(cls, octets: bytes) -> "SharedPart":
        """Name *octets* by what they are."""
        return cls(sha256(octets).hexdigest(), len(octets))


@dataclass(frozen=True, slots=True)
class Message:
    """One mail to one recipient, ready for a mail transaction.

    *reverse_path* and *forward_path* are mailboxes without angle brackets (an empty reverse-path
    is the null one); domains are A-labels. *message_id* has its angle brackets. *smtputf8* says
    that the mail needs a server with the SMTPUTF8 extension (RFC 6531): its local part or a header
    is not ASCII.
    """

    reverse_path: str
    forward_path: str
    content: tuple[bytes | SharedPart, ...]
    message_id: str
    smtputf8: bool = False

    @property
    def size(self) -> int:
        """Octets of the content, shared parts included, as SIZE counts them (RFC 1870)."""
        return sum(len(chunk) if isinstance(chunk, bytes) else chunk.size for chunk in self.content)

    def chunks(self, shared: Mapping[str, bytes]) -> Iterator[bytes]:
        """Yield the content chunk by chunk, references resolved through *shared* (digest to bytes).

        Raises `PayloadError` when *shared* lacks a part.
        """
        for chunk in self.content:
            if isinstance(chunk, bytes):
                yield chunk
                continue
            try:
                yield shared[chunk.digest]
            except KeyError:
                raise PayloadError(
                    f"shared part {chunk.digest[:12]} ({chunk.size} octets) is not stored"
                ) from None

    def joined(self, shared: Mapping[str, bytes]) -> bytes:
        """Return the whole content; raises `PayloadError` when *shared* lacks a part."""
        return b"".join(self.chunks(shared))

    def __repr__(self) -> str:
        return f"<Message {self.message_id} {self.size} octets>"
