"""What hosts are called: to the resolver, and in certificates."""

import socket

import pytest

from mailer.errors import ConfigError
from mailer.smtp import Action, Driver, Fate, Security
from mailer.smtp.check import try_account
from mailer.smtp.connection.names import addresses_of, certified

NO_NAMES = ["smtp..example", ".smtp.example", "a" * 64 + ".example", "a\udcffb.example"]


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("smtp.example", "smtp.example"),
        ("smtp.example.", "smtp.example"),
        ("mail_out.example", "mail_out.example"),
        ("müller.example", "xn--mller-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_a_certificate_names_a_host_as_it_is_registered(host, name):
    assert certified(host) == name


@pytest.mark.parametrize("host", [*NO_NAMES, "", ".", "a\0b"])
def test_what_can_be_no_name_is_said_to_be_none(host):
    with pytest.raises(ConfigError, match="no name of a host"):
        certified(host)


@pytest.mark.parametrize("host", NO_NAMES)
def test_a_host_that_can_be_none_is_one_without_an_address(settings, mail, gate, journal, host):
    with pytest.raises(OSError, match="no name of a host"):
        addresses_of(host, 25, socket.AI_NUMERICHOST)
    driver = Driver(settings(25, host=host), gate)
    (result,) = driver.send(mail("ada@example.org"), journal)
    driver.close()
    assert (result.fate, result.action) == (Fate.UNSENT, Action.RETRY_LATER)
    assert "cannot be resolved: it is no name of a host" in result.rule
    assert "it is no name of a host" in try_account(settings(25, host=host)).reason


def test_a_certificate_s_name_that_can_be_none_is_the_account_s_fault(
    playing, settings, mail, gate, journal
):
    server = playing("X: silence")
    driver = Driver(settings(server.port, security=Security.TLS, tls_name="mx..example"), gate)
    (result,) = driver.send(mail("ada@example.org"), journal)
    driver.close()
    assert result.fate is Fate.UNSENT
    assert "tls_name" in result.rule
