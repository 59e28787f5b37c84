"""A real mail server for the demo: STARTTLS, AUTH, moods, and an outbox of .eml files.

    python mail_server.py FOLDER OUTBOX

FOLDER/tls holds server.pem (certificate and key) and users.json (login → password). The port is
written to FOLDER/port. The server lives until its standard input is closed; then it leaves its
counts in FOLDER/served.json.
"""

import asyncio
import hmac
import json
import re
import ssl
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

REFUSED = {
    "gone.example": "550 5.1.1 <{to}>: Recipient address rejected: User unknown",
    "full.example": "452 4.2.2 <{to}>: Mailbox full",
}
GREYLIST = "451 4.7.1 <{to}>: Greylisted, please try again later"
MESSAGE_ID = re.compile(rb"^Message-ID: *(<[^>]*>)", re.IGNORECASE | re.MULTILINE)
PICKY = "554 5.7.1 Message content rejected: we are picky"


class Outbox:
    """Takes what is sent and writes it down, one file a message."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.counts: Counter[str] = Counter()
        self._greylisted: set[str] = set()
        self._message_ids: set[bytes] = set()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, to: str, options: list[str]
    ) -> str:
        """Accept, refuse or put off a recipient, by the domain."""
        del server, session
        domain = to.rpartition("@")[2].lower()
        if domain in REFUSED:
            self.counts[f"refused at RCPT, {domain}"] += 1
            return REFUSED[domain].format(to=to)
        if domain == "greylist.example" and to not in self._greylisted:
            self._greylisted.add(to)
            self.counts["greylisted once"] += 1
            return GREYLIST.format(to=to)
        envelope.rcpt_tos.append(to)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Write the message to the outbox."""
        del server, session
        to = envelope.rcpt_tos[0]
        if to.endswith("@picky.example"):
            self.counts["refused for its content"] += 1
            return PICKY
        content = envelope.original_content or b""
        found = MESSAGE_ID.search(content)
        message_id = found[1] if found else b""
        if message_id in self._message_ids:
            self.counts["received twice"] += 1
        self._message_ids.add(message_id)
        self.counts["accepted"] += 1
        number = self.counts["accepted"]
        name = re.sub(r"[^\w.+@-]", "_", to)
        (self.folder / f"{number:05}-{name}.eml").write_bytes(content)
        return f"250 2.0.0 OK: queued as {number:05}"


class Users:
    """Who may log in."""

    def __init__(self, passwords: dict[str, str], counts: Counter[str]) -> None:
        self._passwords = passwords
        self._counts = counts

    def __call__(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any
    ) -> AuthResult:
        """Compare name and password."""
        del server, session, envelope, mechanism
        assert isinstance(given, LoginPassword)
        known = self._passwords.get(given.login.decode(), "")
        good = bool(known) and hmac.compare_digest(known.encode(), given.password)
        self._counts["logins" if good else "logins refused"] += 1
        return AuthResult(success=good, handled=False)


async def serve(folder: Path, outbox: Path) -> None:
    """Serve until standard input is closed."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "tls/server.pem")
    box = Outbox(outbox)
    users = Users(json.loads((folder / "tls/users.json").read_text()), box.counts)

    def connected() -> SMTP:
        return SMTP(
            box,
            hostname="mail.demo.example",
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            authenticator=users,
            enable_SMTPUTF8=True,
            ident="demo",
            loop=loop,
        )

    loop = asyncio.get_running_loop()
    # A connection that is cut while TLS is being shut down is no news in a demo.
    loop.set_exception_handler(lambda _loop, _context: None)
    server = await loop.create_server(connected, "127.0.0.1", 0)
    (folder / "port").write_text(str(server.sockets[0].getsockname()[1]))
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()
    (folder / "served.json").write_text(json.dumps(box.counts))


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), Path(sys.argv[2])))
