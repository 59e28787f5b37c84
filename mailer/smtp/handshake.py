"""How a session begins: greeting, EHLO, STARTTLS, EHLO again, login.

A generator of steps without I/O. It reads like the dialogue::

    S: 220 smtp.example ESMTP
    C: EHLO [192.0.2.1]
    S: 250-smtp.example, 250-STARTTLS, 250 PIPELINING
    C: STARTTLS
    S: 220 go ahead
       (TLS; what was offered before is forgotten)
    C: EHLO [192.0.2.1]
    S: 250-smtp.example, 250-AUTH PLAIN LOGIN, 250 PIPELINING
    C: AUTH PLAIN <credentials>
    S: 235 welcome

There is no way around TLS: a server without STARTTLS, or one that refuses it, is not used.
"""

import ipaddress
from collections.abc import Generator
from dataclasses import dataclass

from mailer.errors import WireError
from mailer.smtp import wire
from mailer.smtp.dialogue import Answer, RefusedError, Say, Secure, Step
from mailer.smtp.extensions import Extensions
from mailer.smtp.login.auth import log_in
from mailer.smtp.reply import Reply, Stage
from mailer.smtp.rules import Action, Judgement, judge
from mailer.smtp.settings import Security, Server

Handshake = Generator[Step, Answer, "Opened"]


@dataclass(frozen=True, slots=True)
class Opened:
    """A session is ready: what the server *offered* last, and the *mechanism* that logged in."""

    offered: Extensions
    mechanism: str | None


def open_session(server: Server, local_address: str, *, refresh_token: bool = False) -> Handshake:
    """Go through the opening of a session with *server*; raise `RefusedError` where it ends early.

    Nothing else is raised: an error that nobody foresaw may hold what it was given, a password say.
    """
    try:
        return (yield from _open(server, local_address, refresh_token=refresh_token))
    except RefusedError:
        raise
    except Exception as exc:  # noqa: BLE001  # its type is all that may be told
        name = type(exc).__name__
    reason = f"local: an unforeseen fault while the session opened: {name}"
    raise RefusedError(Stage.AUTH, None, Judgement(Action.AUTH_RETRY, reason))


def _open(server: Server, local_address: str, *, refresh_token: bool) -> Handshake:
    name = server.local_hostname or _address_literal(local_address)
    _line(f"EHLO {name}")  # our own mistake in it is certain, whoever the server is
    if server.security is Security.STARTTLS:
        try:
            yield from _start_tls(server, name)
        except RefusedError as exc:
            # Nothing is verified yet: a captive portal, a wrong port or somebody on the way may have
            # said it. Believed at once, one such connection would stop the account on all workers.
            raise exc.as_suspicion() from None
        yield Secure(Stage.STARTTLS)
    else:
        if server.security is Security.TLS:
            yield Secure(Stage.CONNECT)
        yield from _say(server, Stage.CONNECT, "", "")
    offered = yield from _introduce(server, name)
    is_encrypted = server.security is not Security.PLAIN
    mechanism = yield from log_in(
        server, offered, is_encrypted=is_encrypted, refresh_token=refresh_token
    )
    return Opened(offered, mechanism)


def _start_tls(server: Server, name: str) -> Generator[Step, Answer, None]:
    yield from _say(server, Stage.CONNECT, "", "")
    offered = yield from _introduce(server, name)
    if "STARTTLS" not in offered:
        reason = "the server does not offer STARTTLS, and mail goes by TLS only"
        raise _local(Stage.STARTTLS, reason)
    yield from _say(server, Stage.STARTTLS, "STARTTLS", "STARTTLS")


def _introduce(server: Server, name: str) -> Generator[Step, Answer, Extensions]:
    reply = yield Say(_line(f"EHLO {name}"), Stage.EHLO, f"EHLO {name}")
    assert isinstance(reply, Reply)
    if reply.code in (500, 502):
        # RFC 5321 section 3.2: a server from before 1995 knows HELO.
        helo = yield Say(_line(f"HELO {name}"), Stage.EHLO, f"HELO {name}")
        assert isinstance(helo, Reply)
        if helo.code in (500, 502):
            yield from _ask_for_lmtp(name)
        _insist(server, Stage.EHLO, helo)
        return Extensions()
    _insist(server, Stage.EHLO, reply)
    return Extensions.read(reply, server.disable_extensions)


def _ask_for_lmtp(name: str) -> Generator[Step, Answer, None]:
    """Raise `RefusedError` if the server knows LMTP's greeting, having refused SMTP's two."""
    reply = yield Say(_line(f"LHLO {name}"), Stage.EHLO, f"LHLO {name}")
    assert isinstance(reply, Reply)
    if 200 <= reply.code < 300:
        raise _local(Stage.EHLO, "the server speaks LMTP (RFC 2033), not SMTP: wrong port?")


def _say(server: Server, stage: Stage, line: str, shown: str) -> Generator[Step, Answer, None]:
    reply = yield Say(_line(line) if line else b"", stage, shown)
    assert isinstance(reply, Reply)
    _insist(server, stage, reply)


def _insist(server: Server, stage: Stage, reply: Reply) -> None:
    if 200 <= reply.code < 300 and not reply.suspect:
        return
    judgement = judge(stage, reply, server.provider, server.rules)
    if judgement.action is Action.OK:
        judgement = Judgement(Action.PROTOCOL_ERROR, "local: the lines of a reply disagree")
    raise RefusedError(stage, reply, judgement)


def _line(text: str) -> bytes:
    try:
        return wire.command(f"{text}\r\n".encode())
    except WireError as exc:
        raise _local(Stage.EHLO, f"local_hostname: {exc}") from exc


def _address_literal(address: str) -> str:
    """Return how EHLO names a host without a name (RFC 5321 section 4.1.3)."""
    plain = ipaddress.ip_address(address.partition("%")[0])
    mapped = plain.ipv4_mapped if isinstance(plain, ipaddress.IPv6Address) else None
    if mapped is not None:
        plain = mapped
    return f"[IPv6:{plain}]" if plain.version == 6 else f"[{plain}]"


def _local(stage: Stage, reason: str) -> RefusedError:
    return RefusedError(stage, None, Judgement(Action.ACCOUNT_CONFIG, f"local: {reason}"))
