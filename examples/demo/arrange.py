"""The demo's stage: a certificate, two accounts, and a mail server that knows one of their passwords."""

import json
import secrets
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import trustme

from mailer.errors import ServerUnavailableError

START_TIMEOUT = 20.0

CONFIGURATION = """\
# Written by the demo.
templates = "{templates}"
batch_size = 100

[accounts.primary]
url = "smtp+starttls://news%40demo.example@localhost:{port}"
password_file = "tls/password"
ca_file = "tls/ca.pem"
max_connections = 8

[accounts.club]
url = "smtp+starttls://club%40demo.example@localhost:{port}"
password_file = "tls/wrong"      # as after a change that nobody told the mailer of
ca_file = "tls/ca.pem"

[unsubscribe]
url = "https://demo.example/unsubscribe/{{token}}"
secret_file = "tls/unsubscribe"

# Greylisting asks for minutes; a demo has none. Elsewhere leave these out.
[retry]
first_delay = "2s"
factor = 1.5
attempts = 4
"""


class Stage:
    """Everything around the mailer, from the moment it is entered; *port* is the mail server's."""

    def __init__(self, folder: Path, outbox: Path) -> None:
        self._folder = folder
        self._outbox = outbox
        self._server: subprocess.Popen[bytes] | None = None
        self.configuration = folder / "mailer.toml"
        self.port = 0

    def __enter__(self) -> Self:
        self._make_secrets(self._folder / "tls")
        self.port = self._serve()
        templates = Path(__file__).resolve().parents[2] / "templates"
        self.configuration.write_text(
            CONFIGURATION.format(port=self.port, templates=templates), encoding="utf-8"
        )
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _where: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> dict[str, int]:
        """Stop the mail server; gives what it counted."""
        server, self._server = self._server, None
        if server is not None:
            assert server.stdin is not None
            server.stdin.close()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        try:
            counts: dict[str, int] = json.loads((self._folder / "served.json").read_text())
        except OSError:
            return {}
        return counts

    def _make_secrets(self, folder: Path) -> None:
        """A certificate authority of one's own, a certificate for localhost, and passwords."""
        folder.mkdir(mode=0o700, parents=True)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.pem")
        certificate = authority.issue_cert("localhost", "127.0.0.1")
        certificate.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
        good, forgotten = secrets.token_urlsafe(12), secrets.token_urlsafe(12)
        users = {"news@demo.example": good, "club@demo.example": secrets.token_urlsafe(12)}
        (folder / "users.json").write_text(json.dumps(users))
        for name, secret in {
            "password": good,
            "wrong": forgotten,
            "unsubscribe": secrets.token_urlsafe(32),
        }.items():
            (folder / name).touch(0o600)
            (folder / name).write_text(f"{secret}\n")

    def _serve(self) -> int:
        script = Path(__file__).with_name("mail_server.py")
        with (self._folder / "mail.log").open("wb") as log:
            self._server = subprocess.Popen(
                [sys.executable, str(script), str(self._folder), str(self._outbox)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the demo, which then closes the server's input
            )
        deadline = time.monotonic() + START_TIMEOUT
        port = self._folder / "port"
        while self._server.poll() is None and time.monotonic() < deadline:
            if port.is_file() and (text := port.read_text()):
                return int(text)
            time.sleep(0.05)
        raise ServerUnavailableError(f"the mail server does not start; see {self._folder}/mail.log")
