"""A server whose certificate names it in its common name alone, which counts no more (RFC 9525)."""

import contextlib
import datetime as dt
import ssl
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.servers.scripted import Act, ScriptedServer


@contextlib.contextmanager
def named_in_common_name(folder: Path) -> Iterator[tuple[int, Path]]:
    """One that shakes hands and says nothing, as `localhost`: its port, and who is to be trusted."""
    certificate, key = folder / "named.pem", folder / "named.key"
    for path, text in zip((certificate, key), _made("localhost"), strict=True):
        path.write_bytes(text)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with ScriptedServer(context=context, tls_first=True) as server:
        server.answer("CONNECT", Act.HANG_UP)
        yield server.port, certificate


def _made(name: str) -> tuple[bytes, bytes]:
    """A self-signed certificate without subjectAltName, and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
