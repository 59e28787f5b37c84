"""Every documented address reaches Redis by both halves, the ledger's client and Celery's queues."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from mailer.errors import ConfigError, LedgerUnavailableError, RedisRefusesError
from mailer.queues.application import application
from mailer.queues.broker import Broker, Task
from mailer.store import Store
from mailer.store.connection import connect
from mailer.store.ledger import Fresh
from mailer.store.reach.address import Address
from tests.conftest import free_port
from tests.servers.redis_servers import RedisProcess, eventually, redis_process, replicated

pytestmark = pytest.mark.redis_server

PASSWORD = "s:e/c#r@t"
QUOTED = "s%3Ae%2Fc%23r%40t"
RIGHTS = (
    "~mailer:* ~mailer.* ~_kombu.* ~unacked* ~*.celery.pidbox* &* "
    "+@all -@admin -@dangerous +info +config|get"
)


def use(url: str) -> None:
    """Write to the ledger by script and by client, publish, and count."""
    store = Store(connect(url))
    assert store.ledger.reserve("c", 0, [Fresh(b"recipien", 7)]) == "n"
    assert store.campaigns.next_batch("c") == "c:1"
    broker = Broker(application(url))
    assert broker.publish([Task("bulk", "c:1", 1, "primary")]) == 1
    assert broker.lengths(["bulk"]) == {"bulk": 1}


def at(server: RedisProcess, database: int) -> list[bytes]:
    """The keys of that database, to see that both halves wrote there."""
    return sorted(server.admin(db=database).keys("*"))


def test_plain_with_a_database(tmp_path: Path) -> None:
    with redis_process(tmp_path) as server:
        use(f"redis://127.0.0.1:{server.port}/3")

        assert {b"mailer.bulk", b"mailer:campaign:c"} <= set(at(server, 3))
        assert at(server, 0) == []


def test_a_password_with_every_awkward_character(tmp_path: Path) -> None:
    with redis_process(tmp_path, f'requirepass "{PASSWORD}"', password=PASSWORD) as server:
        use(f"redis://:{QUOTED}@127.0.0.1:{server.port}/0")
        with pytest.raises(LedgerUnavailableError, match="refused the login"):
            Store(connect(f"redis://:no@127.0.0.1:{server.port}/0")).campaigns.names()
        with pytest.raises(LedgerUnavailableError, match="wants a password"):
            Store(connect(server.url)).campaigns.names()


def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with redis_process(tmp_path, f"unixsocket {path}") as server:
        use(f"unix://{path}?db=2")

        assert {b"mailer.bulk", b"mailer:campaign:c"} <= set(at(server, 2))


def test_a_user_with_exactly_the_documented_rights(tmp_path: Path) -> None:
    documented = Path(__file__).parents[2] / "docs" / "redis.md"
    assert RIGHTS in documented.read_text(encoding="utf-8")
    user = f"user mailer on >{PASSWORD} {RIGHTS}"
    with redis_process(tmp_path, user) as server:
        use(f"redis://mailer:{QUOTED}@127.0.0.1:{server.port}/0")


def test_a_user_without_rights_is_told_where_they_are_listed(tmp_path: Path) -> None:
    with redis_process(tmp_path, "user poor on >x ~other:* +@all") as server:
        url = f"redis://poor:x@127.0.0.1:{server.port}/0"
        for call in (
            Store(connect(url)).campaigns.names,
            lambda: Store(connect(url)).ledger.reserve("c", 0, [Fresh(b"recipien", 7)]),
            lambda: Broker(application(url)).publish([Task("bulk", "c:1", 1, "primary")]),
        ):
            with pytest.raises(LedgerUnavailableError, match=r"docs/redis\.md"):
                call()


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def tls(folder: Path, authority: trustme.CA, port: int) -> list[str]:
    """The settings of a server that speaks TLS on *port*."""
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    folder.mkdir(parents=True, exist_ok=True)
    certificate.private_key_pem.write_to_path(folder / "key")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert")
    authority.cert_pem.write_to_path(folder / "ca")
    return [
        f"tls-port {port}",
        f"tls-cert-file {folder / 'cert'}",
        f"tls-key-file {folder / 'key'}",
        f"tls-ca-cert-file {folder / 'ca'}",
        "tls-auth-clients no",
    ]


def test_tls_with_an_authority_of_ones_own(tmp_path: Path, authority: trustme.CA) -> None:
    port = free_port()
    with redis_process(tmp_path, *tls(tmp_path, authority, port)):
        use(f"rediss://localhost:{port}/0?ssl_ca_certs={tmp_path / 'ca'}")


@pytest.fixture
def impostor(authority: trustme.CA) -> Iterator[tuple[int, list[bytes]]]:
    """A server with a certificate of a foreign authority; what it is told in clear is kept."""
    import ssl  # noqa: PLC0415 - only this server

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    raw, _ = listener.accept()
                except OSError:
                    return
                try:
                    with context.wrap_socket(raw, server_side=True) as connection:
                        heard.append(connection.recv(4096))
                except OSError:
                    raw.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], heard
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def test_a_foreign_certificate_is_refused_before_the_password_is_told(
    impostor: tuple[int, list[bytes]],
) -> None:
    port, heard = impostor
    url = f"rediss://:{QUOTED}@localhost:{port}/0"
    with pytest.raises(RedisRefusesError, match=r"ssl_ca_certs=FILE.*CERTIFICATE_VERIFY_FAILED"):
        Store(connect(url)).campaigns.names()
    with pytest.raises(RedisRefusesError, match="ssl_ca_certs=FILE"):
        Broker(application(url)).publish([Task("bulk", "c:1", 1, "primary")])

    assert heard == []


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # sockets that are cut
def test_sentinel_leads_both_halves_to_the_master_and_to_the_next_one(tmp_path: Path) -> None:
    with replicated(tmp_path) as found:
        before = found.master()
        use(found.url)
        store = Store(connect(found.url))
        store.ledger.reserve("c", 0, [Fresh(b"recipien", 7)])
        found.fail_over()
        eventually(lambda: found.master() is not before)
        eventually(lambda: store.campaigns.next_batch("other"))

        broker = Broker(application(found.url))
        broker.publish([Task("bulk", "c:2", 1, "primary")])
        tasks = found.master().admin().lrange("mailer.bulk", 0, -1)
        assert any(
            b"batch 2" in task for task in tasks
        )  # the first may be lost: the sweep's business
        assert found.master().admin().exists("mailer:campaign:other")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://x", "expected redis://"),
        ("sentinel://a,b", "ends in /service"),
        ("redis://a:b:c/0", "is no port"),
        ("redis://a/x", "the database is a number"),
        ("redis+cluster://a", "Cluster is not supported"),
        ("rediss://a/0?ssl_cert_reqs=none", "always verified"),
        ("rediss://a/0?ssl_check_hostname=false", "always verified"),
        ("redis://a/0?colour=red", "no such option"),
        ("unix://", "names no socket"),
    ],
)
def test_what_is_no_address_is_said(url: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Address.parse(url)


def test_several_sentinels_with_passwords_tls_and_a_database() -> None:
    address = Address.parse(
        f"sentinels://me:{QUOTED}@a,b:26380,[::1]:26381/main/4?sentinel_password=x&ssl_ca_certs=/ca"
    )

    assert address.nodes == (("a", 26379), ("b", 26380), ("::1", 26381))
    assert (address.service, address.database, address.tls) == ("main", 4, True)
    assert address.login == {"username": "me", "password": PASSWORD}
    assert address.sentinel_login == {"password": "x"}
    assert PASSWORD not in repr(address)
    assert "=x" not in repr(address)
