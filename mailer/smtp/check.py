"""Does an account work: connect, verify TLS, log in, quit. Nothing is sent.

It is the same session that a worker opens, so what is found here is what a worker would find.
"""

import selectors
import time
from dataclasses import dataclass, field, replace
from typing import Final

from mailer.smtp.connection import tls
from mailer.smtp.connection.names import addresses_of
from mailer.smtp.connection.phase import Phase
from mailer.smtp.connection.resumption import Resumption
from mailer.smtp.connection.transport import Address
from mailer.smtp.extensions import Extensions
from mailer.smtp.reply import Reply, Stage
from mailer.smtp.rules import Action, Judgement
from mailer.smtp.session import Session
from mailer.smtp.settings import Security, Server

_AGE: Final = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountCheck:
    """What was found: all is well when *judgement* is None.

    *offered* are the extensions, *encryption* the TLS version and cipher, *certificate* the names that
    the server's certificate is for, *expires* when it ends (as it says itself,
    ``Jun  1 12:00:00 2027 GMT``). Otherwise *stage* and *reply*
    say where it failed; *reply* is None where the fault was found on this side. *dialogue* is what was
    said, without credentials.
    """

    place: str
    seconds: float
    offered: Extensions = field(default_factory=Extensions)
    mechanism: str | None = None
    encryption: str | None = None
    certificate: tuple[str, ...] = ()
    expires: str | None = None
    stage: Stage | None = None
    reply: Reply | None = None
    judgement: Judgement | None = None
    dialogue: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """Why it failed, in a few words; empty where it did not."""
        if self.judgement is None:
            return ""
        said = str(self.reply) if self.reply else self.judgement.rule.removeprefix("local: ")
        return f"{self.stage.value}: {said}" if self.stage else said


def try_account(server: Server) -> AccountCheck:
    """Open one session with *server* and close it again; one login at most, never two."""
    began = time.monotonic()
    try:
        addresses = addresses_of(server.host, server.port)
    except OSError as exc:
        return _unreachable(server.address, began, f"{server.host} has no address: {exc.strerror}")
    failed = _unreachable(server.address, began, "no address")
    for number, address in enumerate(addresses, 1):
        was_connected, failed = _try(server, address, number, began)
        if was_connected:
            return failed
    return failed


def _try(server: Server, address: Address, serial: int, began: float) -> tuple[bool, AccountCheck]:
    """Try one address; whether the server was reached, and what was found.

    A server that says nothing may be one that waits for TLS. People do not wait five minutes to be told.
    """
    if server.security is not Security.TLS:
        quick = min(server.timeouts.greeting, tls.SILENCE)
        hasty = replace(server, timeouts=replace(server.timeouts, greeting=quick))
        was_connected, found = _try_once(hasty, address, serial, began)
        is_silent = was_connected and found.stage is Stage.CONNECT and found.reply is None
        if not is_silent or quick == server.timeouts.greeting:
            return was_connected, found
        if tls.speaks_tls(address, within=quick):
            place = _place(address)
            reason = f"{place} speaks TLS from the first byte: write smtps:// in the account's url"
            return True, _unreachable(place, began, reason)
    return _try_once(server, address, serial, began)


def _try_once(
    server: Server, address: Address, serial: int, began: float
) -> tuple[bool, AccountCheck]:
    try:
        session = _session(server, address, serial)
    except OSError as exc:
        return False, _unreachable(_place(address), began, tls.describe(exc))
    try:
        was_connected = _open(session)
        found = _found(session, _place(address), began)
        _leave(session)
    finally:
        session.close()
    return was_connected, found


def _session(server: Server, address: Address, serial: int) -> Session:
    return Session(
        server,
        address,
        time.monotonic(),
        serial=serial,
        max_age=_AGE,
        connect_within=server.timeouts.connect,
        resumption=Resumption(),
    )


def _open(session: Session) -> bool:
    """Drive *session* until it is ready or dead; gives whether the server was reached."""
    was_connected = False
    with selectors.DefaultSelector() as selector:
        while session.is_alive and session.phase is not Phase.READY:
            was_connected = was_connected or session.phase is not Phase.CONNECTING
            if session.is_asking:
                _answer(session)
            else:
                _turn(selector, session)
    return was_connected


def _answer(session: Session) -> None:
    """Make the call that the session asks for, here and now."""
    ask = session.take_ask()
    value, error = "", None
    try:
        value = ask.call()
    except Exception as exc:  # noqa: BLE001 - the session judges it, as in earnest
        error = exc
    session.resume(value, error, time.monotonic())


def _turn(selector: selectors.BaseSelector, session: Session) -> None:
    """Wait for one event or the deadline, and let the session go on."""
    key = selector.register(session, session.events())
    events = selector.select(max(0.0, session.deadline - time.monotonic()))
    selector.unregister(key.fileobj)
    if events:
        session.on_event(events[0][1], time.monotonic())
    else:
        session.on_deadline()


def _leave(session: Session) -> None:
    session.leave(time.monotonic())
    with selectors.DefaultSelector() as selector:
        while session.is_alive:
            _turn(selector, session)


def _found(session: Session, place: str, began: float) -> AccountCheck:
    stage = reply = judgement = None
    if session.refusal is not None:
        stage, reply = session.refusal.stage, session.refusal.reply
        judgement = session.refusal.judgement
    elif session.lost is not None:
        stage = session.stage
        judgement = Judgement(Action.RETRY_LATER, f"local: {session.lost}")
    encrypted = session.tls
    cipher = encrypted.cipher() if encrypted else None
    certificate = (encrypted.getpeercert() or {}) if encrypted and cipher else {}
    expires = certificate.get("notAfter")
    names = certificate.get("subjectAltName", ())
    return AccountCheck(
        place=place,
        seconds=time.monotonic() - began,
        offered=session.offered,
        mechanism=session.mechanism,
        encryption=f"{cipher[1]} {cipher[0]}" if cipher else None,
        certificate=tuple(str(name[1]) for name in names),
        expires=expires if isinstance(expires, str) else None,
        stage=stage,
        reply=reply,
        judgement=judgement,
        dialogue=session.transcript.lines(),
    )


def _unreachable(place: str, began: float, reason: str) -> AccountCheck:
    judgement = Judgement(Action.RETRY_LATER, f"local: {reason}")
    seconds = time.monotonic() - began
    return AccountCheck(place=place, seconds=seconds, stage=Stage.CONNECT, judgement=judgement)


def _place(address: Address) -> str:
    host, port = address[4][0], address[4][1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
