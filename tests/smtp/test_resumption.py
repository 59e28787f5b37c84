"""TLS sessions that are taken up again: by whom, for how long, and by nobody else."""

import ssl

import pytest

from mailer.smtp import Driver, Fate, Security, Submission
from mailer.smtp.connection import tls
from mailer.smtp.connection.resumption import TRUSTED_FOR

TALK = """
X: tls
S: 220 smtp.example
C: EHLO client.example
S: 250 smtp.example
C: MAIL FROM:<news@shop.example>
S: 250 ok
C: RCPT TO:<reader@example.org>
S: 250 ok
C: DATA
S: 354 go on
C: Subject: hello
C:
C: hello
C: .
S: 250 queued
C: QUIT
S: 221 bye
"""
LETTER = Submission("news@shop.example", "reader@example.org", b"Subject: hello\r\n\r\nhello\r\n")
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture
def server(playing):
    def play(connections: int, version=ssl.TLSVersion.TLSv1_3):
        server = playing(*[TALK] * connections)
        server.context.maximum_version = version
        return server

    return play


@pytest.fixture
def driver(settings, gate, ca_file):
    def make(server, **changes):
        where = settings(
            server.port,
            security=Security.TLS,
            ca_file=ca_file,
            max_messages_per_connection=1,
        )
        return Driver(where, gate, **changes)

    return make


def send(driver, new_journal, messages=1):
    results = driver.send([LETTER] * messages, new_journal())
    assert [result.fate for result in results] == [Fate.ACCEPTED] * messages


def taken_up(server) -> int:
    server.check()
    return server.context.session_stats()["hits"]


@pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
def test_the_next_connection_takes_it_up(server, driver, new_journal, version):
    there = server(4, version)
    ours = driver(there)
    send(ours, new_journal, 3)
    send(ours, new_journal)  # with another call, too
    ours.close()
    assert taken_up(there) == 3


def test_another_account_does_not(server, driver, new_journal):
    there = server(2)
    for ours in (driver(there), driver(there)):
        send(ours, new_journal)
        ours.close()
    assert taken_up(there) == 0


def test_the_certificate_is_verified_again_within_the_hour(server, driver, new_journal):
    """Also where sessions were taken up all the time: each of them brings another."""
    there, times = server(4), [0.0]
    ours = driver(there, clock=lambda: times[-1])
    for hours in (0.0, 0.6, 1.2, 1.8):
        times.append(hours * TRUSTED_FOR)
        send(ours, new_journal)
    ours.close()
    assert taken_up(there) == 2


def test_one_that_another_context_made_is_not_offered(server, driver, new_journal):
    """As after the certificate files of many accounts were read: it could not be taken up."""
    there = server(2)
    ours = driver(there)
    send(ours, new_journal)
    tls._context.cache_clear()
    send(ours, new_journal)
    ours.close()
    assert taken_up(there) == 0
