"""Who never gets mail."""

from mailer.mail.barring.scopes import BULK
from mailer.store.suppression import Suppressed, Suppression
from tests.store.batches import NOW


def listed(number):
    return number.to_bytes(8, "big"), Suppressed(f"r{number}@example.org", "bounced", NOW)


def test_a_mailbox_is_on_the_list_once_and_keeps_its_first_reason(client):
    suppression = Suppression(client)
    assert suppression.add([listed(1), listed(2)]) == 2
    again = Suppressed("r1@example.org", "complained", NOW + 1)
    assert suppression.add([(listed(1)[0], again), listed(3)]) == 1
    assert len(suppression) == 3
    reasons = {entry.mailbox: entry.reason for entry in suppression}
    assert reasons["r1@example.org"] == "bounced"


def test_among_many_those_on_the_list_are_told_in_order(client):
    suppression = Suppression(client)
    asked = [listed(number)[0] for number in range(4)]
    assert suppression.among(asked, BULK) == [False] * 4
    suppression.add([listed(1), listed(3)])
    assert suppression.among(asked, BULK) == [False, True, False, True]
    assert suppression.among([], BULK) == []


def test_who_is_taken_off_gets_mail_again(client):
    suppression = Suppression(client)
    suppression.add(map(listed, range(2500)))
    assert len(suppression) == 2500
    assert suppression.remove([listed(1)[0], listed(9999)[0]]) == 1
    assert suppression.remove([]) == 0
    assert not suppression.among([listed(1)[0]], BULK)[0]
