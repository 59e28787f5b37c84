"""Messages out of an IMAP mailbox: what is new since the bookmark; nothing is changed there."""

import imaplib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from mailer.errors import ConfigError, MailerError
from mailer.feedback.parts import MAX_OCTETS

TIMEOUT: Final = 30.0
AT_ONCE: Final = 50
"""Messages that are asked for in one command: a pause between two is a chance to be stopped."""


class IntakeError(MailerError):
    """A mailbox with what came back cannot be read now."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Where it lies: *url* is ``imaps://user@host[:port][/Folder]``, or ``imap://`` on this host."""

    url: str

    @property
    def parts(self) -> tuple[str, int, str, str, bool]:
        """Host, port, user, folder, and whether TLS is spoken from the start. Raises `ConfigError`."""
        found = urlsplit(self.url)
        local = found.hostname in ("localhost", "127.0.0.1", "::1")
        if found.scheme not in ("imaps", "imap") or not found.hostname or not found.username:
            raise ConfigError(
                "feedback.imap: write imaps://user@host, with a folder behind a slash"
            )
        if found.scheme == "imap" and not local:
            raise ConfigError("feedback.imap: imap:// is without TLS; write imaps://")
        secure = found.scheme == "imaps"
        port = found.port or (993 if secure else 143)
        folder = unquote(found.path[1:]) or "INBOX"
        if '"' in folder or "\\" in folder or not folder.isprintable():
            raise ConfigError("feedback.imap: the folder's name holds what none may")
        return found.hostname, port, unquote(found.username), folder, secure


@dataclass(frozen=True, slots=True)
class Fetched:
    """One message and the *bookmark* that stands behind it."""

    octets: bytes
    bookmark: str


def fetch(mailbox: Mailbox, password: str, bookmark: str) -> Iterator[Fetched]:
    """Yield what lies behind *bookmark*, in order; all of it where the mailbox was made anew.

    The messages are looked at without being marked as read (``BODY.PEEK``), at most 1 MiB of each. Raises
    `IntakeError` when the server cannot be reached, or refuses.
    """
    host, port, user, folder, secure = mailbox.parts
    try:
        with _opened(host, port, secure=secure) as session:
            session.login(user, password)
            _ok(session.select(f'"{folder}"', readonly=True), f"folder {folder}")
            yield from _behind(session, bookmark)
    except (OSError, imaplib.IMAP4.error) as error:
        # What a server says to a login may repeat it: only its kind is told.
        what = error.strerror if isinstance(error, OSError) else None
        raise IntakeError(f"imap {host}:{port}: {what or 'the server refused'}") from error


def _opened(host: str, port: int, *, secure: bool) -> imaplib.IMAP4:
    if not secure:
        return imaplib.IMAP4(host, port, timeout=TIMEOUT)
    return imaplib.IMAP4_SSL(host, port, ssl_context=ssl.create_default_context(), timeout=TIMEOUT)


def _behind(session: imaplib.IMAP4, bookmark: str) -> Iterator[Fetched]:
    validity = (session.response("UIDVALIDITY")[1][0] or b"0").decode()
    known, _, last = bookmark.partition(":")
    first = int(last) + 1 if known == validity and last.isdigit() else 1
    numbers = _ok(session.uid("SEARCH", f"UID {first}:*"), "search")[0].split()
    # ``n:*`` names the last message too, where none is newer.
    wanted = sorted(number for one in numbers if (number := int(one)) >= first)
    for start in range(0, len(wanted), AT_ONCE):
        for uid in wanted[start : start + AT_ONCE]:
            answer = session.uid("FETCH", str(uid), f"(BODY.PEEK[]<0.{MAX_OCTETS}>)")
            for one in _ok(answer, f"message {uid}"):
                if isinstance(one, tuple):
                    yield Fetched(one[1], f"{validity}:{uid}")


def _ok(answer: tuple[str, list[Any]], what: str) -> list[Any]:
    if answer[0] != "OK":
        raise imaplib.IMAP4.error(what)
    return answer[1]
