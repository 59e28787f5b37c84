"""The bytes that leave: parts joined when a message's turn comes."""

import tracemalloc

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from mailer.config import Settings
from mailer.deliver.batch import Batch
from mailer.deliver.content import Contents
from mailer.errors import ConfigError, PayloadError
from mailer.mail.message import Message, SharedPart
from mailer.mail.payload import Entry, decode, encode
from mailer.mail.stored import pack
from mailer.store.campaigns import Campaigns
from mailer.store.ledger import Claim, Ledger

MEGABYTE = b"attached\r\n" * 100_000
PART = SharedPart.of(MEGABYTE)


@pytest.fixture
def contents(client):
    return Contents(Settings(), Ledger(client))


def batch(count):
    entries = [
        Entry(
            Message("a@x.example", f"r{n}@x.example", (b"Hello %d\r\n" % n, PART), f"<{n}@x>"),
            b"%08d" % n,
        )
        for n in range(count)
    ]
    positions = tuple(range(count))
    claim = Claim("c:1", 1, 0, positions, "q" * count, "primary", "bulk", b"", {})
    return Batch(claim, entries)


def test_each_message_is_its_own_parts_and_the_shared_ones_in_order(client, contents):
    Campaigns(client).share("c", PART.digest, pack(MEGABYTE))

    outgoing = contents.outgoing(batch(3), [2, 0])

    assert [one.forward_path for one in outgoing] == ["r2@x.example", "r0@x.example"]
    assert outgoing[0].content == b"Hello 2\r\n" + MEGABYTE
    assert [one.content for one in outgoing[1:]] == [b"Hello 0\r\n" + MEGABYTE]


def with_forms(greeting):
    """A batch as a worker reads it, of messages that have nearly all in common."""
    frame = b"From: a@x.example\r\nDate: Thu, 01 Jan 1970 00:00:00 +0000\r\n\r\n" + b"news\r\n" * 40
    made = [
        Entry(
            Message("a@x.example", "r@x.example", (frame, greeting % n, b"\r\n", PART), f"<{n}@x>"),
            b"%08d" % n,
        )
        for n in range(3)
    ]
    claim = Claim("c:1", 1, 0, (0, 1, 2), "qqq", "primary", "bulk", b"", {})
    return Batch(claim, decode(encode(made, 2)))


def test_what_messages_share_is_looked_through_once_and_values_always(client, contents):
    Campaigns(client).share("c", PART.digest, pack(MEGABYTE))
    sent = list(contents.outgoing(with_forms(b"Dear %d"), [0, 1, 2], stamp=1e9))
    assert all(one.is_vouched_for for one in sent)
    assert b"\r\nDate: Sun, 09 Sep 2001 01:46:40 +0000\r\n" in sent[2].content
    assert sent[2].content.endswith(b"news\r\nDear 2\r\n" + MEGABYTE)
    for odd in (b"Dear\r%d", b".%d", b"Dear\n%d", b"\0%d", b"x" * 999 + b"%d"):
        sent = list(contents.outgoing(with_forms(odd), [0, 1, 2]))
        assert not any(one.is_vouched_for for one in sent), odd


def test_what_is_signed_is_looked_through_whole(client, tmp_path):
    key = tmp_path / "key.pem"
    key.write_bytes(
        ed25519.Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    key.chmod(0o600)
    dkim = {"domain": "x.example", "selector": "s", "key_file": key}
    account = {"url": "smtps://mx.example", "dkim": dkim}
    settings = Settings.model_validate({"accounts": {"primary": account}})
    Campaigns(client).share("c", PART.digest, pack(MEGABYTE))
    (one,) = Contents(settings, Ledger(client)).outgoing(with_forms(b"Dear %d"), [1])
    assert one.content.startswith(b"DKIM-Signature: ")
    assert not one.is_vouched_for


def test_a_batch_with_a_large_attachment_takes_the_memory_of_one_message_at_a_time(
    client, contents
):
    Campaigns(client).share("c", PART.digest, pack(MEGABYTE))
    tracemalloc.start()
    try:
        total = sum(len(one.content) for one in contents.outgoing(batch(100), range(100)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert total > 100 * len(MEGABYTE)
    assert peak < 10 * len(MEGABYTE)


def test_an_attachment_that_is_gone_is_noticed_before_the_first_message_is_begun(contents):
    with pytest.raises(PayloadError, match="gone from Redis"):
        contents.outgoing(batch(1), [0])


def test_a_signature_s_key_that_cannot_be_read_is_named_by_its_account(client, tmp_path):
    dkim = {"domain": "shop.example", "selector": "s", "key_file": tmp_path / "gone.pem"}
    account = {"url": "smtps://mx.example", "dkim": dkim}
    settings = Settings.model_validate({"accounts": {"primary": account}})
    with pytest.raises(ConfigError, match=r"accounts\.primary\.dkim: cannot read the DKIM key"):
        Contents(settings, Ledger(client))
