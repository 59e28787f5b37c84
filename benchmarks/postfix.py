"""A real submission service: Postfix with STARTTLS, AUTH and TLS tickets, which discards all it takes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from servers import PLACES, Child, Sink

from tests.servers.configurations import POSTFIX, POSTFIX_SERVICES

USER, PASSWORD = "shop@mx.example", "secret"

_MAIN = (
    POSTFIX
    + """
default_transport = discard
default_process_limit = 300
smtpd_client_connection_count_limit = 0
max_use = 100000
in_flow_delay = 0
smtpd_tls_security_level = encrypt
smtpd_tls_auth_only = yes
smtpd_tls_chain_files = {home}/tls.pem
smtpd_tls_session_cache_database = btree:{home}/data/sessions
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = cyrus
smtpd_sasl_local_domain = mx.example
smtpd_relay_restrictions = permit_sasl_authenticated, reject
header_checks = static:DISCARD
"""
)
_MASTER = (
    POSTFIX_SERVICES
    + """
127.0.0.1:{port} inet n - n - - smtpd
discard unix - - n - - discard
"""
)
_SASL = """
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {home}/sasldb2
mech_list: PLAIN
"""
_COUNTED = b": discard: "
"""What cleanup writes once for each message."""


class Postfix(Child):
    """Takes mail from who has verified its certificate and logged in, and counts it by its log."""

    where = staticmethod(Sink.where)

    def __init__(self) -> None:
        super().__init__()
        self._seen, self._count = 0, 0
        home = self.folder
        for name in ("spool", "data", "config/sasl"):
            (home / name).mkdir(parents=True)
        shutil.chown(home / "data", "postfix")
        _certify(home)
        words = {"home": home, "port": self.port}
        (home / "config/main.cf").write_text(_MAIN.format(**words))
        (home / "config/master.cf").write_text(_MASTER.format(**words))
        (home / "config/sasl/smtpd.conf").write_text(_SASL.format(**words))
        user, _, realm = USER.partition("@")
        _run("saslpasswd2", "-p", "-c", "-f", home / "sasldb2", "-u", realm, user, said=PASSWORD)
        shutil.chown(home / "sasldb2", "postfix")

    @property
    def authority(self) -> Path:
        """The certificate that is to be trusted."""
        return self.folder / "certificate.pem"

    def command(self) -> list[str]:
        return [_binary("postfix"), "-c", str(self.folder / "config"), "start-fg"]

    def counted(self) -> int:
        with (self.folder / "log").open("rb") as log:
            log.seek(self._seen)
            lines = log.read().rpartition(b"\n")[0]
        self._seen += len(lines)
        self._count += lines.count(_COUNTED)
        return self._count


def missing() -> str:
    """Why there can be none here, empty where there can."""
    if os.geteuid() != 0:
        return "Postfix is started by root only"
    places = [shutil.which(name, path=PLACES) for name in ("postfix", "saslpasswd2", "openssl")]
    return "" if all(places) else "Debian's postfix, sasl2-bin and openssl are not installed"


def _certify(home: Path) -> None:
    """RSA of 2048 bits, as most providers have it."""
    _run(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
        *("-subj", "/CN=mx.example", "-addext", "subjectAltName=IP:127.0.0.1"),
        *("-keyout", home / "key.pem", "-out", home / "certificate.pem"),
    )
    chain = (home / "key.pem").read_bytes() + (home / "certificate.pem").read_bytes()
    (home / "tls.pem").write_bytes(chain)


def _binary(name: str) -> str:
    return shutil.which(name, path=PLACES) or name


def _run(name: str, *words: str | Path, said: str = "") -> None:
    command = [_binary(name), *map(str, words)]
    subprocess.run(command, input=said.encode(), check=True, capture_output=True)
