"""Accounts before a name server on loopback: what it has is judged, and its silence is no fault."""

import contextlib
import json
import socket
from dataclasses import asdict

import dns.message
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from mailer.config import Settings
from mailer.deliver.dkim import Signer
from mailer.deliver.receivers.dns_records import Names
from mailer.deliver.receivers.looking import receivers_say
from mailer.errors import ConfigError
from tests.servers.name_server import NameServer


@pytest.fixture(scope="module", params=["rsa", "ed25519"])
def key_file(request, tmp_path_factory):
    private = Ed25519PrivateKey.generate()
    if request.param == "rsa":
        private = generate_private_key(65537, 2048)
    file = tmp_path_factory.mktemp("key") / "dkim.pem"
    file.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return file


@pytest.fixture
def settings(key_file):
    dkim = {"domain": "shop.example", "selector": "s1", "key_file": str(key_file)}
    return Settings.model_validate(
        {
            "sender": "Shop <news@shop.example>",
            "feedback": {"return_path": "b@bounces.shop.example"},
            "unsubscribe": {"url": "https://shop.example/u?id={id}"},
            "accounts": {"a": {"url": "smtp://localhost:1", "dkim": dkim}},
        }
    )


@pytest.fixture
def zone(key_file):
    key = Signer("shop.example", "s1", key_file).key
    return {
        "bounces.shop.example": ["v=spf1 ip4:192.0.2.1 -all"],
        "s1._domainkey.shop.example": [f"v=DKIM1; k={key.algorithm}; p={key.forms[0]}"],
        "_dmarc.shop.example": ["v=DMARC1; p=reject"],
    }


def say(settings, names):
    found = receivers_say(settings, settings.account("a"), names)
    return [(one.level, one.rule) for one in found]


def test_what_is_right_is_not_objected_to(settings, zone):
    with NameServer(zone) as server:
        assert say(settings, Names(server.place)) == []
        assert set(server.asked) == set(zone)


@pytest.mark.parametrize(
    ("name", "texts", "finding"),
    [
        ("bounces.shop.example", (), ("error", "spf")),
        ("bounces.shop.example", None, ("unknown", "spf")),
        ("s1._domainkey.shop.example", (), ("error", "dkim")),
        ("s1._domainkey.shop.example", ["v=DKIM1; p="], ("error", "dkim")),
        ("s1._domainkey.shop.example", ["v=DKIM1; p=AAAA"], ("error", "dkim")),
        ("_dmarc.shop.example", (), ("error", "dmarc")),
        ("_dmarc.shop.example", None, ("unknown", "dmarc")),
    ],
)
def test_a_record_that_is_wrong_is_told(settings, zone, name, texts, finding):
    with NameServer({**zone, name: texts}) as server:
        assert say(settings, Names(server.place)) == [finding]


def names_asked_of(silent):
    silent.setblocking(False)
    found = set()
    with contextlib.suppress(BlockingIOError):
        while True:
            found.add(dns.message.from_wire(silent.recv(4096)).question[0].name)
    return found


def test_a_server_that_never_answers_is_no_fault_of_the_domain(settings):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        names = Names(f"127.0.0.1:{silent.getsockname()[1]}", seconds=0.5)
        assert say(settings, names) == [
            ("unknown", "spf"),
            ("unknown", "dkim"),
            ("unknown", "dmarc"),
        ]
        assert len(names_asked_of(silent)) < 3, "the time is over for all of them"


def test_a_server_that_is_not_there_is_no_fault_either(settings):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{gone.getsockname()[1]}"
    assert {level for level, _ in say(settings, Names(place, seconds=0.5))} == {"unknown"}


def test_name_servers_of_a_closed_network_do_not_make_records_missing():
    with NameServer({}) as server:
        names = Names(server.place, trusted=False)
        for name in ("shop.org", "_dmarc.shop.org"):
            assert "do not know .org" in names.texts(name).why
        assert server.asked.count("org") == 1


def test_none_is_none_where_the_top_level_domain_is_known():
    with NameServer({"NS org": ["a0.org.afilias-nst.info."]}) as server:
        names = Names(server.place, trusted=False)
        assert (names.texts("shop.org").texts, names.texts("shop.org").why) == ((), "")


def test_reserved_names_are_not_asked_for():
    answer = Names().texts("shop.example")
    assert (answer.texts, "reserved" in answer.why) == ((), True)


@pytest.mark.parametrize("odd", ["", ".", "a..b", "x" * 64 + ".org", "ü.org", "a b.org"])
def test_names_that_are_none_raise_nothing(odd):
    with NameServer({}) as server:
        assert Names(server.place).texts(odd).texts == ()


@pytest.mark.parametrize("odd", ["dns.example", "127.0.0.1:x", "127.0.0.1:0", ""])
def test_a_nameserver_that_is_none_is_named(odd):
    with pytest.raises(ConfigError, match="nameserver"):
        Names(odd)


def test_a_key_that_cannot_be_read_is_unknown(settings, key_file, tmp_path):
    dkim = {"domain": "shop.example", "selector": "s1", "key_file": str(tmp_path / "none.pem")}
    account = {"url": "smtp://localhost:1", "dkim": dkim}
    lost = Settings.model_validate({"sender": "news@shop.example", "accounts": {"a": account}})
    found = receivers_say(lost, lost.account("a"), Names())
    assert any("cannot read the DKIM key" in one.wrong for one in found)
    assert all(one.level in ("unknown", "advice") for one in found)
    (tmp_path / "none.pem").write_text("no key")
    assert receivers_say(lost, lost.account("a"), Names())[0].level == "error"


def test_findings_are_json(settings, zone):
    with NameServer({}) as server:
        found = receivers_say(settings, settings.account("a"), Names(server.place))
    assert json.loads(json.dumps([asdict(one) for one in found]))[0]["level"] == "error"
