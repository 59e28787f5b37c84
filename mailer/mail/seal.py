"""Short sealed words: nobody without the secret reads them, changes them or makes one.

A seal is a keyed hash of what is sealed, and what is sealed, enciphered with a stream that the hash
begins (the construction of SIV, RFC 5297, with BLAKE2b for both). The same words give the same seal,
so that a message composed again is the same.
"""

from hashlib import blake2b
from hmac import compare_digest
from typing import Final

TAG_OCTETS: Final = 5
KEY_OCTETS: Final = 8


class Seal:
    """Seals and opens under one *secret*, for one *purpose*, with a proof of *proof* octets."""

    def __init__(self, secret: str | bytes, purpose: str, proof: int) -> None:
        octets = secret.encode() if isinstance(secret, str) else secret
        # Hashes that have taken their key, to be copied: each message is sealed once or twice.
        self._proofs = blake2b(key=_derived(octets, purpose, b"proof"), digest_size=proof)
        self._streams = blake2b(key=_derived(octets, purpose, b"stream"))
        self._size = proof

    def seal(self, words: bytes) -> bytes:
        """Return *words* sealed, longer by the proof."""
        proof = self._proof(words)
        return proof + self._enciphered(proof, words)

    def open(self, sealed: bytes) -> bytes | None:
        """Return what is sealed; None where it was not sealed here, or was changed."""
        proof = sealed[: self._size]
        words = self._enciphered(proof, sealed[self._size :])
        return words if compare_digest(proof, self._proof(words)) else None

    def _proof(self, words: bytes) -> bytes:
        proof = self._proofs.copy()
        proof.update(words)
        return proof.digest()

    def _enciphered(self, proof: bytes, words: bytes) -> bytes:
        length = len(words)
        stream = self._block(proof + b"\0")
        for number in range(1, (length + 63) // 64):
            stream += self._block(proof + bytes((number,)))
        mixed = int.from_bytes(words, "big") ^ int.from_bytes(stream[:length], "big")
        return mixed.to_bytes(length, "big")

    def _block(self, begun: bytes) -> bytes:
        block = self._streams.copy()
        block.update(begun)
        return block.digest()


def campaign_tag(campaign: str) -> bytes:
    """Five octets that stand for a campaign's id in an address."""
    return blake2b(campaign.encode(), digest_size=TAG_OCTETS, person=b"campaign").digest()


def message_hash(secret: str, campaign: str) -> "blake2b":
    """A hash that a recipient's key completes to the local part of its Message-ID."""
    return blake2b(campaign.encode(), digest_size=12, key=_derived(secret.encode(), "id"))


def _derived(secret: bytes, purpose: str, part: bytes = b"") -> bytes:
    return blake2b(secret, digest_size=32, person=purpose.encode(), salt=part).digest()
