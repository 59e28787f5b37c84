"""How to prove who we are: SASL mechanisms as conversations without I/O.

Each mechanism is a generator: it yields responses and is sent the server's challenges, all of them
decoded. A mechanism that speaks first yields its initial response at once; one that lets the server
begin yields None.
"""

import base64
import hashlib
import hmac
import re
import secrets
import unicodedata
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

from mailer.errors import AuthenticationFailedError, ConfigError

Conversation = Generator[bytes | None, bytes, None]

MIN_ITERATIONS = 4096
"""SCRAM's iteration count comes from the server. RFC 7677 section 4 wants so many at least: with few,
whoever has the proof, a false server say, tries passwords at leisure."""
MAX_ITERATIONS = 1_000_000
"""A larger count is refused: this one costs a good half of a second of computing."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who logs in where; *secret* is the password, or the OAuth access token."""

    username: str
    secret: str = field(default="", repr=False)
    host: str = ""
    port: int = 0


def plain(credentials: Credentials) -> Conversation:
    """PLAIN (RFC 4616)."""
    yield f"\0{credentials.username}\0{credentials.secret}".encode()


def login(credentials: Credentials) -> Conversation:
    """LOGIN: never specified, offered everywhere; the prompts' words mean nothing."""
    yield None
    yield credentials.username.encode()
    yield credentials.secret.encode()


def cram_md5(credentials: Credentials) -> Conversation:
    """CRAM-MD5 (RFC 2195)."""
    challenge = yield None
    digest = hmac.new(credentials.secret.encode(), challenge, hashlib.md5).hexdigest()
    yield f"{credentials.username} {digest}".encode()


def scram_sha_256(credentials: Credentials) -> Conversation:
    """SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding; the server proves itself too."""
    name = _prepared(credentials.username).replace("=", "=3D").replace(",", "=2C")
    nonce = secrets.token_urlsafe(18)
    bare = f"n={name},r={nonce}"
    first = yield f"n,,{bare}".encode()
    answer = _attributes(first)
    if "m" in answer:
        # RFC 5802 section 5.1: whoever does not know what is asked for there must not go on.
        raise AuthenticationFailedError("SCRAM: the server wants an extension that we do not know")
    salt, iterations = _salt_and_iterations(answer)
    if not answer.get("r", "").startswith(nonce) or answer["r"] == nonce:
        raise AuthenticationFailedError("SCRAM: the server did not answer to our nonce")
    salted = hashlib.pbkdf2_hmac("sha256", _prepared(credentials.secret).encode(), salt, iterations)
    without_proof = f"c=biws,r={answer['r']}"
    signed = f"{bare},{first.decode()},{without_proof}".encode()
    key = _hmac(salted, b"Client Key")
    signature = _hmac(hashlib.sha256(key).digest(), signed)
    proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
    last = yield f"{without_proof},p={base64.b64encode(proof).decode()}".encode()
    expected = base64.b64encode(_hmac(_hmac(salted, b"Server Key"), signed))
    if not hmac.compare_digest(_attributes(last).get("v", "").encode(), expected):
        raise AuthenticationFailedError(
            "SCRAM: the server did not prove that it knows the password"
        )
    yield b""


def xoauth2(credentials: Credentials) -> Conversation:
    """XOAUTH2 (Google's and Microsoft's); an error comes as a challenge, answered by nothing."""
    yield f"user={credentials.username}\x01auth=Bearer {credentials.secret}\x01\x01".encode()
    yield b""


def oauthbearer(credentials: Credentials) -> Conversation:
    """OAUTHBEARER (RFC 7628); an error comes as a challenge, answered by a single ^A."""
    name = credentials.username.replace("=", "=3D").replace(",", "=2C")
    place = f"host={credentials.host}\x01port={credentials.port}"
    yield f"n,a={name},\x01{place}\x01auth=Bearer {credentials.secret}\x01\x01".encode()
    yield b"\x01"


def external(credentials: Credentials) -> Conversation:
    """EXTERNAL (RFC 4422 appendix A): the client's certificate says who we are.

    With a login name, the server is asked to act for that one.
    """
    yield credentials.username.encode()


MECHANISMS: dict[str, Callable[[Credentials], Conversation]] = {
    "OAUTHBEARER": oauthbearer,
    "XOAUTH2": xoauth2,
    "SCRAM-SHA-256": scram_sha_256,
    "PLAIN": plain,
    "LOGIN": login,
    "CRAM-MD5": cram_md5,
    "EXTERNAL": external,
}
"""By name, the best first."""

TOKEN_MECHANISMS = frozenset({"OAUTHBEARER", "XOAUTH2"})
CERTIFICATE_MECHANISMS = frozenset({"EXTERNAL"})
DISCLOSING = TOKEN_MECHANISMS | {"PLAIN", "LOGIN"}
"""Mechanisms that send the secret itself."""
PROVING = frozenset({"SCRAM-SHA-256"})
"""Where the server proves itself too: a success before it has done so is none."""
COMPUTING = frozenset({"SCRAM-SHA-256"})
"""Whose responses may take long: the server says how long. They are made beside the loop."""


@dataclass(frozen=True, slots=True)
class Means:
    """What an account has to prove who it is."""

    password: bool = False
    token: bool = False
    certificate: bool = False

    def allow(self, mechanism: str) -> bool:
        """Whether *mechanism* can be tried with it; a password is of no use beside a token."""
        if mechanism in TOKEN_MECHANISMS:
            return self.token
        if mechanism in CERTIFICATE_MECHANISMS:
            return self.certificate
        return self.password and not self.token


def candidates(
    offered: Sequence[str], *, configured: str | None, means: Means, is_encrypted: bool
) -> list[str]:
    """Return the mechanisms that may be tried, the best first.

    A *configured* one is the only one. Without TLS those come first that do not show the password.
    Raise `ConfigError` if *configured* is unknown.
    """
    if configured is not None:
        if configured.upper() not in MECHANISMS:
            known = " ".join(MECHANISMS)
            raise ConfigError(f"mechanism {configured!r} is not one of {known}")
        return [configured.upper()] if configured.upper() in offered else []
    names = [name for name in MECHANISMS if name in offered and means.allow(name)]
    return names if is_encrypted else sorted(names, key=DISCLOSING.__contains__)


def is_over(conversation: Conversation) -> bool:
    """Whether *conversation* has come to its end, so that it accepts a success."""
    try:
        conversation.send(b"")
    except StopIteration:
        return True
    except AuthenticationFailedError:
        return False
    return False


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def _prepared(text: str) -> str:
    # SASLprep (RFC 4013) in what matters for real passwords: compatibility normalisation.
    return unicodedata.normalize("NFKC", text)


_ERROR = re.compile("[a-z-]{1,40}")
"""How the errors of RFC 5802 section 7 look; anything else is not repeated."""


def _attributes(message: bytes) -> dict[str, str]:
    try:
        text = message.decode()
    except UnicodeDecodeError:
        raise AuthenticationFailedError("SCRAM: the server's message is no UTF-8 text") from None
    pairs = (part.partition("=") for part in text.split(","))
    found = {name: value for name, _, value in pairs}
    if _ERROR.fullmatch(found.get("e", "")):
        raise AuthenticationFailedError(f"SCRAM: the server says {found['e']}")
    return found


def _salt_and_iterations(answer: dict[str, str]) -> tuple[bytes, int]:
    try:
        salt, iterations = base64.b64decode(answer["s"], validate=True), int(answer["i"])
    except (KeyError, ValueError) as exc:
        raise AuthenticationFailedError("SCRAM: the server's first message is malformed") from exc
    if not MIN_ITERATIONS <= iterations <= MAX_ITERATIONS:
        raise AuthenticationFailedError(
            f"SCRAM: {iterations} iterations are not acceptable, "
            f"{MIN_ITERATIONS} to {MAX_ITERATIONS} are"
        )
    return salt, iterations
