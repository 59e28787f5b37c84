"""Whether an account works: connect, verify, log in, say goodbye; nothing is sent."""

import selectors
import socket
import time
from dataclasses import dataclass

from mailer.smtp.pool import Pool
from mailer.smtp.reply import Reply
from mailer.smtp.rules import Action
from mailer.smtp.session import Phase, Session
from mailer.smtp.settings import Server
from mailer.smtp.tls import describe


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found. *trouble* is one line that says what went wrong and where; None if nothing did.

    *reply* and *action* are set where the server said no, and what a worker would do about it.
    *tls*, *cipher*, *certificate* (its subject) and *expires* are empty without TLS.
    """

    account: str
    address: str
    trouble: str | None = None
    action: Action | None = None
    reply: Reply | None = None
    tls: str = ""
    cipher: str = ""
    certificate: str = ""
    expires: str = ""
    extensions: tuple[str, ...] = ()
    mechanisms: tuple[str, ...] = ()
    mechanism: str | None = None
    size: int | None = None
    mail_max: int | None = None


def check(server: Server) -> Report:
    """Open a session with *server*, log in as its account says, and QUIT.

    Nothing is raised for what fails: the report says it.
    """
    try:
        addresses = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    except OSError as exc:
        return _failed(server, f"{server.host} cannot be resolved: {describe(exc)}")
    trouble = "no address"
    for address in addresses:
        try:
            session = _open(server, address)
        except OSError as exc:
            trouble = describe(exc).lower()
            continue
        if session.refusal is not None or session.lost is None or session.phase is not Phase.CONNECTING:
            return _report(server, session)
        trouble = session.lost
    return _failed(server, trouble)


def _open(server: Server, address: tuple[object, ...]) -> Session:
    session = Pool(server, lambda: 0.0).open(
        address,  # type: ignore[arg-type]  # what getaddrinfo says
        time.monotonic(),
        connect_within=server.timeouts.connect,
    )
    with selectors.DefaultSelector() as selector:
        selector.register(session, session.events())
        while session.is_alive and session.phase is not Phase.READY:
            ready = selector.select(max(0.0, session.deadline - time.monotonic()))
            now = time.monotonic()
            for _, mask in ready:
                session.on_event(mask, now)
            if not ready and now >= session.deadline:
                session.on_deadline()
            while session.ask is not None:
                _answer(session)
            if session.is_alive:
                selector.modify(session, session.events())
    if not session.is_alive:
        session.close()
    return session


def _answer(session: Session) -> None:
    """Make the call that *session* asks for; here it may block."""
    assert session.ask is not None
    call, session.ask = session.ask.call, None
    try:
        value, error = call(), None
    except Exception as exc:  # noqa: BLE001  # carried into the opening, which judges it
        value, error = "", exc
    session.resume(value, error, time.monotonic())


def _report(server: Server, session: Session) -> Report:
    refusal = session.refusal
    tls = session.tls
    certificate = tls.getpeercert() if tls is not None and session.phase is not Phase.CLOSED else None
    trouble = None
    if refusal is not None:
        said = str(refusal.reply) if refusal.reply else refusal.judgement.rule.removeprefix("local: ")
        trouble = f"{server.address} refused at {refusal.stage.value}: {said}"
        if refusal.reply is None:
            trouble = f"{server.address}: at {refusal.stage.value}: {said}"
    elif session.lost is not None:
        trouble = f"{server.address}: at {session.stage.value}: {session.lost}"
    report = Report(
        account=server.name,
        address=server.address,
        trouble=trouble,
        action=refusal.judgement.action if refusal else (Action.RETRY_LATER if trouble else None),
        reply=refusal.reply if refusal else None,
        tls=(tls.version() or "") if certificate is not None and tls is not None else "",
        cipher=_cipher(tls) if certificate is not None else "",
        certificate=_subject(certificate),
        expires=str((certificate or {}).get("notAfter", "")),
        extensions=tuple(sorted(session.offered.keywords)),
        mechanisms=session.offered.mechanisms,
        mechanism=session.mechanism,
        size=session.offered.size,
        mail_max=session.offered.mail_max,
    )
    _part(session)
    return report


def _part(session: Session) -> None:
    session.leave(time.monotonic())
    while session.phase is Phase.LEAVING and session.is_alive:
        with selectors.DefaultSelector() as selector:
            selector.register(session, session.events())
            wait = session.deadline - time.monotonic()
            if wait <= 0 or not selector.select(wait):
                break
            session.on_event(selectors.EVENT_READ, time.monotonic())
    session.close()


def _cipher(tls: object) -> str:
    cipher = getattr(tls, "cipher", lambda: None)()
    return str(cipher[0]) if cipher else ""


def _subject(certificate: dict[str, object] | None) -> str:
    if not certificate:
        return ""
    names = certificate.get("subjectAltName", ())
    assert isinstance(names, tuple)
    return ", ".join(str(value) for _, value in names)


def _failed(server: Server, trouble: str) -> Report:
    return Report(
        account=server.name,
        address=server.address,
        trouble=f"{server.address}: {trouble}",
        action=Action.RETRY_LATER,
    )
