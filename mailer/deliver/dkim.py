"""How the bytes that leave are signed: DKIM (RFC 6376), RSA and Ed25519 (RFC 8463).

Signing is done on the worker, where the keys are, over the content as it goes to the transport, before
dot-stuffing. Both canonicalisations are *relaxed*, since relays fold headers anew and trim blanks.
``From`` is over-signed (listed once more than it is there), so that nobody adds a second one to a
message that was signed; List-Unsubscribe and List-Unsubscribe-Post are covered, without which RFC 8058
does not let a receiver offer one-click. dkimpy takes 7 ms for what `cryptography` does in 0.5.
"""

import base64
import re
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from mailer.errors import ConfigError, WireError
from mailer.mail.receivers.records import Key

# In this order: all fields that RFC 6376 section 5.4.1 names, and those that RFC 8058 section 4 and
# RFC 9477 want covered.
_SIGNED: Final = (
    b"from reply-to to cc subject date message-id in-reply-to references mime-version content-type "
    b"content-transfer-encoding resent-date resent-from resent-to resent-cc list-id list-unsubscribe "
    b"list-unsubscribe-post list-help list-subscribe list-post list-owner list-archive "
    b"feedback-id precedence auto-submitted cfbl-address cfbl-feedback-id"
).split()
_OVERSIGNED: Final = frozenset({b"from"})
_LEAST_RSA_BITS: Final = 1024
_FIELD: Final = re.compile(rb"([!-9;-~]+)[ \t]*:((?:[^\r\n]*\r\n[ \t])*[^\r\n]*\r\n)")
_BLANKS: Final = re.compile(rb"[ \t]+")
_SEVERAL: Final = re.compile(rb"  +")
_AT_END: Final = re.compile(rb" \r\n")


class Signer:
    """Signs for one *domain* and *selector* with one key.

    *key* is a private key in PEM: its bytes, or the path of the file that holds it, RSA (2048 bits
    are what receivers want) or Ed25519. Raises `ConfigError` for a key that cannot be used. The key
    stays in memory; a `repr` does not show it.
    """

    def __init__(self, domain: str, selector: str, key: bytes | str | Path) -> None:
        self.domain = _checked("domain", domain)
        self.selector = _checked("selector", selector)
        private = _private_key(key)
        if isinstance(private, RSAPrivateKey):
            self.algorithm = "rsa-sha256"
        else:
            self.algorithm = "ed25519-sha256"
        self._sign = _signing(private)
        self.key = _public(private)

    def __repr__(self) -> str:
        return f"<Signer {self.selector}._domainkey.{self.domain} {self.algorithm}>"

    def sign(self, content: bytes, *, now: float | None = None) -> bytes:
        """Return the DKIM-Signature field for *content*, to be put in front of it.

        *content* is a whole message with CRLF line ends; *now* is seconds since the epoch. Raises
        `WireError` when it has no From, which must be signed (RFC 6376 section 5.4).
        """
        return self.sign_chunks([content], now=now)

    def sign_chunks(self, chunks: Sequence[bytes], *, now: float | None = None) -> bytes:
        """Sign content that lies in *chunks*: the header section must end within the first."""
        return self.field(_canonical(chunks), int(time.time() if now is None else now))

    def field(self, canonical: "_Canonical", stamp: int) -> bytes:
        """Return the DKIM-Signature field of what is in *canonical* form, as of *stamp*."""
        value = (
            f" v=1; a={self.algorithm}; c=relaxed/relaxed; d={self.domain};\r\n"
            f" s={self.selector}; t={stamp};\r\n"
            f" h={canonical.names};\r\n"
            f" bh={canonical.body_hash};\r\n"
            f" b="
        ).encode("ascii")
        # RFC 6376 section 3.7: the signature's own field comes last, without its CRLF.
        signature = self._sign(canonical.fields + _relaxed(b"dkim-signature", value))
        return b"DKIM-Signature:" + value + _folded(base64.b64encode(signature)) + b"\r\n"


class _Canonical(NamedTuple):
    """What signatures are made of: the *names* for ``h=``, their *fields* and the *body_hash*."""

    names: str
    fields: bytes
    body_hash: str


def signatures(signers: Sequence[Signer], content: bytes, *, now: float | None = None) -> bytes:
    """Return a field of each of *signers* for *content*, the last one's first.

    What they sign is the same, so it is worked out once. Raises `WireError` as `Signer.sign` does.
    """
    if not signers:
        return b""
    canonical, stamp = _canonical([content]), int(time.time() if now is None else now)
    return b"".join([signer.field(canonical, stamp) for signer in reversed(signers)])


def _canonical(chunks: Sequence[bytes]) -> _Canonical:
    head, gap, body = chunks[0].partition(b"\r\n\r\n")
    if not gap:
        raise WireError("cannot sign: no empty line between header section and body")
    names, fields = _signed_fields(head + b"\r\n")
    body_hash = base64.b64encode(_body_hash([body, *chunks[1:]]))
    return _Canonical(_wrapped(b":".join(names)).decode(), fields, body_hash.decode())


def _checked(what: str, name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*", name):
        raise ConfigError(f"DKIM {what} {name!r} is no name in the DNS (use A-labels)")
    return name.lower()


def _private_key(key: bytes | str | Path) -> RSAPrivateKey | Ed25519PrivateKey:
    if isinstance(key, bytes):
        octets, where = key, "the DKIM key"
    else:
        where = f"the DKIM key {key}"
        try:
            octets = Path(key).read_bytes()
        except OSError as error:
            raise ConfigError(f"cannot read {where}: {error.strerror}") from error
    try:
        private = serialization.load_pem_private_key(octets, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # What the library says may quote the file.
        raise ConfigError(f"{where} is no private key in PEM without a passphrase") from None
    if isinstance(private, RSAPrivateKey):
        if private.key_size < _LEAST_RSA_BITS:
            raise ConfigError(f"{where} has {private.key_size} bits; receivers want 2048")
        return private
    if isinstance(private, Ed25519PrivateKey):
        return private
    raise ConfigError(f"{where} is neither RSA nor Ed25519")


def _public(private: RSAPrivateKey | Ed25519PrivateKey) -> Key:
    """Return what receivers must find in the DNS; RSA may stand there in two forms."""
    der = serialization.Encoding.DER
    if isinstance(private, RSAPrivateKey):
        kinds = (
            serialization.PublicFormat.SubjectPublicKeyInfo,
            serialization.PublicFormat.PKCS1,
        )
        forms = [private.public_key().public_bytes(der, kind) for kind in kinds]
        name, bits = "rsa", private.key_size
    else:
        forms, name, bits = [private.public_key().public_bytes_raw()], "ed25519", 256
    return Key(name, bits, tuple(base64.b64encode(form).decode() for form in forms))


def _signing(private: RSAPrivateKey | Ed25519PrivateKey) -> Callable[[bytes], bytes]:
    if isinstance(private, RSAPrivateKey):
        return lambda octets: private.sign(octets, padding.PKCS1v15(), hashes.SHA256())
    # RFC 8463 section 3: the hash is what is signed.
    return lambda octets: private.sign(sha256(octets).digest())


def _signed_fields(head: bytes) -> tuple[list[bytes], bytes]:
    """Return the names to list in ``h=`` and the canonical fields that they stand for.

    Of fields that are there several times the last comes first (RFC 6376 section 5.4.2).
    """
    there: dict[bytes, list[bytes]] = {}
    for name, value in _FIELD.findall(head):
        there.setdefault(name.lower(), []).append(value)
    if b"from" not in there:
        raise WireError("cannot sign: the message has no From")
    names: list[bytes] = []
    fields: list[bytes] = []
    for name in _SIGNED:
        values = there.get(name, [])
        names += [name] * (len(values) + (name in _OVERSIGNED))
        fields += [_relaxed(name, value) + b"\r\n" for value in reversed(values)]
    return names, b"".join(fields)


def _relaxed(name: bytes, value: bytes) -> bytes:
    """Return a field in relaxed form, without line end (RFC 6376 section 3.4.2)."""
    value = value.replace(b"\r\n", b"")
    if b"  " in value or b"\t" in value:  # two looks cost a tenth of a substitution
        value = _BLANKS.sub(b" ", value)
    return name + b":" + value.strip(b" \t")


def _body_hash(chunks: Sequence[bytes]) -> bytes:
    """Return the SHA-256 of the body in relaxed form (RFC 6376 section 3.4.4).

    A body without a blank at a line's end or two in a row, which base64 bodies are, is hashed as
    it is. Chunks are joined only where that is not so, for blanks may meet at a border.
    """
    body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    # Each of these is one pass in C. A pattern that begins with one blank would stop at each.
    if b"\t" in body:
        body = body.replace(b"\t", b" ")
    body = _SEVERAL.sub(b" ", body)
    body = _AT_END.sub(b"\r\n", body)
    trimmed = body.rstrip(b"\r\n")
    kept = body[len(trimmed) :]
    # A lone CR or LF cannot be in content that may leave; the whole rest is CRLFs.
    if not trimmed:
        return sha256(b"").digest()
    digest = sha256(trimmed)
    digest.update(b"\r\n" if kept or trimmed else b"")
    return digest.digest()


@lru_cache(maxsize=64)
def _wrapped(names: bytes) -> bytes:
    """Fold a list of names at its colons, at about 70 octets."""
    lines: list[bytes] = [b""]
    for name in names.split(b":"):
        if lines[-1] and len(lines[-1]) + len(name) > 70:
            lines.append(b"")
        lines[-1] += name + b":"
    return b"\r\n  ".join(lines).removesuffix(b":")


def _folded(signature: bytes) -> bytes:
    """Fold base64, which may be folded anywhere, at 70 octets."""
    lines = [signature[start : start + 70] for start in range(0, len(signature), 70)]
    return b"\r\n  ".join(lines)
