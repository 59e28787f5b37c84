"""How a login goes: one mechanism, one attempt, and what its failure means.

smtplib tries three mechanisms in turn, so that one wrong password counts as three failed logins and
locks the account. Here a refusal of the credentials ends the attempt. Only a server that does not know
the mechanism (504) is asked once more, with the next one that it offers itself.
"""

import base64
import binascii
import json
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from textwrap import shorten

from mailer.errors import (
    AuthenticationFailedError,
    ConfigError,
    SecretUnavailableError,
    TokenRefusedError,
    TokenUnavailableError,
)
from mailer.smtp.dialogue import Answer, Ask, RefusedError, Say, Step
from mailer.smtp.extensions import Extensions
from mailer.smtp.login import sasl
from mailer.smtp.reply import Reply, Stage
from mailer.smtp.rules import Action, Judgement, judge
from mailer.smtp.settings import Server

MAX_COMMAND = 512
"""Octets of the AUTH command; a longer initial response waits for a challenge (RFC 4954 section 4)."""

Responded = tuple[bytes | None, str | None]
"""What is said to a challenge, and what is wrong with it: see `_respond`."""

Login = Generator[Step, Answer, str | None]


def log_in(
    server: Server, offered: Extensions, *, is_encrypted: bool, refresh_token: bool = False
) -> Login:
    """Log in to *server*; return the mechanism used, None if the account has no login.

    *refresh_token* says that the last access token was refused. Raise `RefusedError`.
    """
    means = sasl.Means(
        password=server.password is not None,
        token=server.token is not None,
        certificate=server.client_cert is not None and is_encrypted,
    )
    if not _wants_login(server, offered, means):
        return None
    mechanisms = _candidates(server, offered, means, is_encrypted=is_encrypted)
    for mechanism in mechanisms[:2]:
        credentials = yield from _credentials(server, mechanism, refresh_token=refresh_token)
        attempt = yield from _attempt(mechanism, credentials)
        if attempt.fault is not None:
            raise _unproven(attempt.fault)
        if 200 <= attempt.reply.code < 300:
            return _proven(mechanism, attempt)
        if attempt.reply.code != 504 or mechanism == mechanisms[-1]:
            break
    reply = attempt.reply
    judgement = judge(Stage.AUTH, reply, server.provider, server.rules)
    if judgement.action is Action.OK:
        judgement = Judgement(Action.AUTH_FAIL, "local: a reply of the wrong class to AUTH")
    is_token = mechanism in sasl.TOKEN_MECHANISMS
    is_stale = is_token and reply.code >= 500 and _is_stale(attempt.challenge)
    raise RefusedError(Stage.AUTH, reply, judgement, token_is_stale=is_stale)


def _wants_login(server: Server, offered: Extensions, means: sasl.Means) -> bool:
    """Whether there is to be a login at all; raise `RefusedError` where one is, and is impossible."""
    external = server.mechanism in sasl.CERTIFICATE_MECHANISMS
    if external and not means.certificate:
        raise _misconfigured(f"{server.mechanism} needs a client_cert, and TLS")
    if server.username is None and not external:
        # A server that asks for a certificate and no login is content with it; one that offers
        # EXTERNAL wants to be told to look at it.
        return means.certificate and not sasl.CERTIFICATE_MECHANISMS.isdisjoint(offered.mechanisms)
    if not (means.password or means.token or means.certificate):
        raise _misconfigured("a username without password or token")
    return True


def _proven(mechanism: str, attempt: "_Attempt") -> str:
    if attempt.is_cancelled or (
        mechanism in sasl.PROVING and not sasl.is_over(attempt.conversation)
    ):
        # A server that accepts without its proof may be an attacker.
        raise _unproven(f"{mechanism}: the server did not prove that it knows the password")
    return mechanism


def _unproven(fault: str) -> RefusedError:
    """The server's part of the login is wrong. What it said last is no reason: it may have said yes."""
    return RefusedError(Stage.AUTH, None, Judgement(Action.AUTH_FAIL, f"local: {fault}"))


def _candidates(
    server: Server, offered: Extensions, means: sasl.Means, *, is_encrypted: bool
) -> list[str]:
    try:
        mechanisms = sasl.candidates(
            offered.mechanisms,
            configured=server.mechanism,
            means=means,
            is_encrypted=is_encrypted,
        )
    except ConfigError as exc:
        raise _misconfigured(str(exc)) from exc
    if not mechanisms:
        # A server may offer 64 KB of names: of a fault nobody keeps more than the beginning.
        names = shorten(" ".join(offered.mechanisms), 200, placeholder=" …") or "no login at all"
        wanted = server.mechanism or ("an OAuth mechanism" if server.token else "any that we know")
        raise _misconfigured(f"the server offers {names}, and {wanted} is wanted")
    return mechanisms


def _credentials(
    server: Server, mechanism: str, *, refresh_token: bool
) -> Generator[Step, Answer, sasl.Credentials]:
    name = server.username or ""
    secret = ""
    if mechanism not in sasl.CERTIFICATE_MECHANISMS:
        secret = yield from _secret(server, mechanism, refresh_token=refresh_token)
    if "\0" in f"{name}{secret}":
        raise _misconfigured("a NUL in the login name, password or token")
    if not _is_text(f"{name}{secret}"):
        raise _misconfigured("the login name, password or token is no UTF-8 text")
    return sasl.Credentials(name, secret, server.host, server.port)


def _is_text(text: str) -> bool:
    # Octets of the environment that are no UTF-8 come as surrogates, which nothing can encode.
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _secret(server: Server, mechanism: str, *, refresh_token: bool) -> Generator[Step, Answer, str]:
    call: Callable[[], str]
    if mechanism in sasl.TOKEN_MECHANISMS and server.token is not None:
        token = server.token
        call = lambda: token(refresh_token)  # noqa: E731
    elif server.password is not None:
        call = server.password
    else:
        raise _misconfigured(f"{mechanism} needs a password, and the account has none")
    refusal: RefusedError
    try:
        secret = yield Ask(call)
    except Exception as exc:  # noqa: BLE001  # every way to have no secret is a refusal
        refusal = _without_secret(exc)
    else:
        assert isinstance(secret, str)
        return secret
    # Raised outside of the except block, so that it has no context: that exception may hold the secret.
    raise refusal


def _without_secret(error: Exception) -> RefusedError:
    """What it means that the secret could not be had, in words that cannot hold it."""
    match error:
        case TokenRefusedError():
            return RefusedError(Stage.AUTH, None, Judgement(Action.AUTH_FAIL, f"local: {error}"))
        case SecretUnavailableError() | TokenUnavailableError():
            # The secret is missing here and now only: a sealed vault, a file that is being replaced, a
            # file of another host.
            judgement = Judgement(Action.AUTH_RETRY, f"local: {error}")
        case ConfigError():
            return _misconfigured(str(error))
        case _:
            # The text of a foreign error may hold the secret; its name does not.
            name = type(error).__name__
            reason = f"local: the password or token could not be had: {name}"
            judgement = Judgement(Action.AUTH_RETRY, reason)
    return RefusedError(Stage.AUTH, None, judgement)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """How a conversation went: the last *reply*, the last *challenge* before it.

    *is_cancelled* says that we ended it, *fault* what was wrong with a challenge.
    """

    reply: Reply
    challenge: bytes
    conversation: sasl.Conversation
    is_cancelled: bool
    fault: str | None


def _attempt(mechanism: str, credentials: sasl.Credentials) -> Generator[Step, Answer, _Attempt]:
    """Hold the conversation."""
    conversation = sasl.MECHANISMS[mechanism](credentials)
    initial = next(conversation)
    command = f"AUTH {mechanism}"
    deferred: bytes | None = None
    secrets: tuple[str, ...] = (credentials.secret,)
    if initial is not None:
        encoded = base64.b64encode(initial).decode() or "="
        secrets += (encoded,)
        if len(command) + len(encoded) + 3 <= MAX_COMMAND:
            command, initial = f"{command} {encoded}", None
        else:
            deferred = initial
    shown = f"AUTH {mechanism} <credentials>"
    reply = yield Say(f"{command}\r\n".encode(), Stage.AUTH, shown, secrets)
    challenge = b""
    is_cancelled = False
    fault: str | None = None
    while isinstance(reply, Reply) and 300 <= reply.code < 400 and not is_cancelled:
        response: bytes | None
        if deferred is not None:
            response, deferred = deferred, None
        else:
            challenge = _challenge(reply)
            respond = partial(_respond, conversation, challenge)
            if mechanism in sasl.COMPUTING:
                answered = yield Ask(respond)
            else:
                answered = respond()
            assert isinstance(answered, tuple)
            response, fault = answered
        is_cancelled = response is None
        line = b"*" if response is None else base64.b64encode(response)
        reply = yield Say(line + b"\r\n", Stage.AUTH, "<credentials>", (line.decode(),))
    assert isinstance(reply, Reply)
    return _Attempt(reply, challenge, conversation, is_cancelled, fault)


def _challenge(reply: Reply) -> bytes:
    try:
        return base64.b64decode("".join(reply.lines), validate=True)
    except (binascii.Error, ValueError):
        # Some servers write prompts in the clear; a mechanism that looks will refuse them.
        return "".join(reply.lines).encode()


def _respond(conversation: sasl.Conversation, challenge: bytes) -> Responded:
    """Return what to say to *challenge*, and what is wrong with it; None cancels (RFC 4954 section 4)."""
    try:
        return conversation.send(challenge), None
    except StopIteration:
        return None, None
    except AuthenticationFailedError as exc:
        return None, str(exc)


def _is_stale(challenge: bytes) -> bool:
    """Whether a refused token is worth a refresh: the challenge tells why (XOAUTH2, RFC 7628)."""
    try:
        status = str(json.loads(challenge).get("status", ""))
    except (ValueError, AttributeError):
        return True
    return status in {"", "400", "401", "invalid_token"}


def _misconfigured(reason: str) -> RefusedError:
    return RefusedError(Stage.AUTH, None, Judgement(Action.ACCOUNT_CONFIG, f"local: {reason}"))
