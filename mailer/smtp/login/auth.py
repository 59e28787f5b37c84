"""How a login goes: one mechanism, one attempt, and what its failure means.

smtplib tries three mechanisms in turn, so that one wrong password counts as three failed logins and
locks the account. Here a refusal of the credentials ends the attempt. Only a server that does not know
the mechanism (504) is asked once more, with the next one that it offers itself.
"""

import base64
import binascii
import json
from collections.abc import Callable, Generator

from mailer.errors import AuthenticationFailedError, ConfigError, TokenRefusedError
from mailer.smtp.dialogue import Ask, RefusedError, Say, Step
from mailer.smtp.extensions import Extensions
from mailer.smtp.login import sasl
from mailer.smtp.reply import Reply, Stage
from mailer.smtp.rules import Action, Judgement, judge
from mailer.smtp.settings import Server

MAX_COMMAND = 512
"""Octets of the AUTH command; a longer initial response waits for a challenge (RFC 4954 section 4)."""

Login = Generator[Step, Reply | str, str | None]


def log_in(
    server: Server, offered: Extensions, *, is_encrypted: bool, refresh_token: bool = False
) -> Login:
    """Log in to *server*; return the mechanism used, None if the account has no login.

    *refresh_token* says that the last access token was refused. Raise `RefusedError`.
    """
    if server.username is None:
        return None
    if (server.password or server.token) is None:
        raise _misconfigured("a username without password or token")
    mechanisms = _candidates(server, offered, is_encrypted=is_encrypted)
    for mechanism in mechanisms[:2]:
        secret = yield from _secret(server, mechanism, refresh_token=refresh_token)
        credentials = sasl.Credentials(server.username, secret, server.host, server.port)
        if "\0" in f"{server.username}{secret}":
            raise _misconfigured("a NUL in the login name, password or token")
        reply, challenge = yield from _attempt(mechanism, credentials)
        if 200 <= reply.code < 300:
            return mechanism
        if reply.code != 504 or mechanism == mechanisms[-1]:
            break
    judgement = judge(Stage.AUTH, reply, server.provider, server.rules)
    if judgement.action is Action.OK:
        judgement = Judgement(Action.AUTH_FAIL, "local: a reply of the wrong class to AUTH")
    is_stale = mechanism in sasl.TOKEN_MECHANISMS and reply.code >= 500 and _is_stale(challenge)
    raise RefusedError(Stage.AUTH, reply, judgement, token_is_stale=is_stale)


def _candidates(server: Server, offered: Extensions, *, is_encrypted: bool) -> list[str]:
    try:
        mechanisms = sasl.candidates(
            offered.mechanisms,
            configured=server.mechanism,
            has_token=server.token is not None,
            is_encrypted=is_encrypted,
        )
    except ConfigError as exc:
        raise _misconfigured(str(exc)) from exc
    if not mechanisms:
        names = " ".join(offered.mechanisms) or "no login at all"
        wanted = server.mechanism or ("an OAuth mechanism" if server.token else "any that we know")
        raise _misconfigured(f"the server offers {names}, and {wanted} is wanted")
    return mechanisms


def _secret(
    server: Server, mechanism: str, *, refresh_token: bool
) -> Generator[Step, Reply | str, str]:
    call: Callable[[], str]
    if mechanism in sasl.TOKEN_MECHANISMS and server.token is not None:
        token = server.token
        call = lambda: token(refresh_token)  # noqa: E731
    elif server.password is not None:
        call = server.password
    else:
        raise _misconfigured(f"{mechanism} needs a password, and the account has none")
    try:
        secret = yield Ask(call)
    except TokenRefusedError as exc:
        reason = Judgement(Action.AUTH_FAIL, f"local: {exc}")
        raise RefusedError(Stage.AUTH, None, reason) from exc
    except ConfigError as exc:
        raise _misconfigured(str(exc)) from exc
    except Exception as exc:
        # The text of a foreign error may hold the secret; its name does not.
        text = f"local: the password or token could not be had: {type(exc).__name__}"
        raise RefusedError(Stage.AUTH, None, Judgement(Action.AUTH_RETRY, text)) from exc
    assert isinstance(secret, str)
    return secret


def _attempt(
    mechanism: str, credentials: sasl.Credentials
) -> Generator[Step, Reply | str, tuple[Reply, bytes]]:
    """Hold the conversation; return the last reply and the last challenge before it."""
    conversation = sasl.MECHANISMS[mechanism](credentials)
    initial = next(conversation)
    command = f"AUTH {mechanism}"
    deferred: bytes | None = None
    if initial is not None:
        encoded = base64.b64encode(initial).decode() or "="
        if len(command) + len(encoded) + 3 <= MAX_COMMAND:
            command, initial = f"{command} {encoded}", None
        else:
            deferred = initial
    shown = f"AUTH {mechanism} <credentials>"
    reply = yield Say(f"{command}\r\n".encode(), Stage.AUTH, shown)
    challenge = b""
    while isinstance(reply, Reply) and 300 <= reply.code < 400:
        response: bytes | None
        if deferred is not None:
            response, deferred = deferred, None
        else:
            challenge, response = _respond(conversation, reply)
        line = b"*" if response is None else base64.b64encode(response)
        reply = yield Say(line + b"\r\n", Stage.AUTH, "<credentials>")
        if response is None:
            break
    assert isinstance(reply, Reply)
    return reply, challenge


def _respond(conversation: sasl.Conversation, reply: Reply) -> tuple[bytes, bytes | None]:
    """Return the challenge of *reply* and what to say to it; None cancels (RFC 4954 section 4)."""
    try:
        challenge = base64.b64decode("".join(reply.lines), validate=True)
    except (binascii.Error, ValueError):
        # Some servers write prompts in the clear; a mechanism that looks will refuse them.
        challenge = "".join(reply.lines).encode()
    try:
        return challenge, conversation.send(challenge)
    except (StopIteration, AuthenticationFailedError):
        return challenge, None


def _is_stale(challenge: bytes) -> bool:
    """Whether a refused token is worth a refresh: the challenge tells why (XOAUTH2, RFC 7628)."""
    try:
        status = str(json.loads(challenge).get("status", ""))
    except (ValueError, AttributeError):
        return True
    return status in {"", "400", "401", "invalid_token"}


def _misconfigured(reason: str) -> RefusedError:
    return RefusedError(Stage.AUTH, None, Judgement(Action.ACCOUNT_CONFIG, f"local: {reason}"))
