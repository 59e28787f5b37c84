"""What one worker cannot do is left to others, and buried only when none of them can."""

import time

import msgpack
import pytest

from mailer.config import Settings
from mailer.mail.payload import VERSION
from mailer.operate import campaigns
from mailer.store.workers.able import Able
from tests.servers.cluster import ACCOUNT
from tests.servers.waiting import eventually

pytestmark = pytest.mark.timeout(600)

WORKER = "[worker]\nsweep_every = 0.5\nrequeue_after = 5\n"


def settings(cluster, smtp, *accounts, more="", **passwords):
    text = f'redis = "{cluster.redis_url}"\n{WORKER}{more}'
    for name in accounts:
        text += ACCOUNT.format(name=name, port=smtp.port, connections=4)
        cluster.set_password(name, passwords.get(name, "right"))
    return text


def test_a_worker_with_the_older_configuration_leaves_a_new_account_to_the_others(cluster, smtp):
    smtp.passwords["new"] = "right"
    cluster.configure(settings(cluster, smtp, "primary"), "old.toml")
    cluster.configure(settings(cluster, smtp, "primary", "new"), "new.toml")
    cluster.start("old", config="old.toml")
    cluster.enqueue("spring", "new", 200, batch=20)
    eventually(lambda: "waits for a worker that can" in cluster.log())
    eventually(lambda: _says(cluster) == "waiting for a worker that has account new")
    cluster.start("new", config="new.toml")
    eventually(lambda: cluster.final("spring"))
    assert cluster.outcomes("spring") == {"accepted": 200}, cluster.reasons("spring")
    assert not cluster.letters()


def _says(cluster):
    return campaigns.status(Settings(redis=cluster.redis_url), "spring").says


def test_what_no_living_worker_could_for_a_while_goes_to_the_dead_letters(cluster, smtp):
    cluster.configure(settings(cluster, smtp, "primary", more="unable_after = 2\n"))
    cluster.start("one")
    cluster.enqueue("spring", "primry", 40, batch=20)
    eventually(lambda: cluster.final("spring"))
    assert cluster.outcomes("spring") == {"dead": 40}
    letter = cluster.letters()[0]
    assert letter.reason == "account"
    assert "did you mean 'primary'?" in letter.said.reply


def test_a_secret_that_one_host_cannot_read_stops_no_account(cluster, smtp):
    """Its login fails on this host alone: the other one sends, and nothing cools down."""
    text = settings(cluster, smtp, "primary")
    command = 'password_command = ["sh", "-c", "exit 1"]'
    cluster.configure(text.replace('password_file = "primary.password"', command), "sealed.toml")
    cluster.start("sealed", config="sealed.toml")
    cluster.enqueue("spring", "primary", 60, batch=20)
    eventually(lambda: "waits for a worker that can" in cluster.log())
    assert cluster.state("primary") in ("unknown", "running")
    cluster.start("open")
    eventually(lambda: cluster.final("spring"))
    assert cluster.outcomes("spring") == {"accepted": 60}, cluster.reasons("spring")
    assert not smtp.refused


def test_a_secret_that_cannot_be_had_once_is_asked_for_again(cluster, smtp):
    text = settings(cluster, smtp, "primary")
    script = "test -e asked && printf right || { touch asked; exit 1; }"
    command = f'password_command = ["sh", "-c", "cd {cluster.folder}; {script}"]'
    cluster.configure(text.replace('password_file = "primary.password"', command))
    cluster.start("one")
    cluster.enqueue("spring", "primary", 20)
    eventually(lambda: cluster.final("spring"))
    assert cluster.outcomes("spring") == {"accepted": 20}, cluster.reasons("spring")


def test_a_payload_of_a_newer_version_waits_for_a_newer_worker(cluster):
    cluster.start("one")
    cluster.enqueue("spring", "primary", 0)
    newer = b"M" + bytes([VERSION + 1]) + msgpack.packb("what is to come")
    cluster.enqueue_payload("spring", "primary", newer, 1)
    eventually(lambda: "waits for a worker that can: payload of version" in cluster.log())
    assert cluster.outcomes("spring") == {"queued": 1}


@pytest.fixture
def able(client):
    return Able(client)


T = time.time()


def test_nothing_is_hopeless_while_a_living_worker_knows_it(able):
    able.announce("old", ["primary"], 1, T)
    able.announce("new", ["primary", "new"], 2, T)
    assert able.could_not("account:new", "old", T) == 0
    assert able.could_not("account:new", "old", T + 20) == 0
    assert able.could_not("payload:2", "old", T + 20) == 0
    assert able.could_not("account:new", "old", T + 40) == 20, "it has said nothing for too long"


def test_an_account_that_nobody_knows_is_counted_from_the_first_who_could_not(able):
    able.announce("a", ["primary"], 1, T)
    able.announce("b", ["primary"], 1, T)
    assert able.could_not("account:new", "a", T) == 0
    assert able.could_not("account:new", "b", T + 10) == 10
    able.announce("c", ["new"], 1, T + 11)
    assert able.could_not("account:new", "a", T + 12) == 0
    able.retire("c")
    assert able.could_not("account:new", "a", T + 15) == 3


def test_a_secret_that_each_of_them_could_not_read_is_nobodys(able):
    able.announce("a", ["primary"], 1, T)
    able.announce("b", ["primary"], 1, T)
    able.could_not("secret:primary", "a", T)
    able.could_not("secret:primary", "b", T + 1)
    assert able.could_not("secret:primary", "a", T + 9) == 9


def test_what_a_worker_told_that_cannot_be_read_counts_as_nothing(able, client):
    client.hset("mailer:workers", "junk", b"\xff{")
    assert able.could_not("account:new", "a", T) == 0
    assert able.could_not("account:new", "a", T + 5) == 5


def test_what_is_in_vain_is_known_until_somebody_can_or_nobody_tries(able):
    subjects = ["account:new", "secret:new"]
    able.announce("a", ["primary"], 1, T)
    able.could_not("account:new", "a", T)
    assert able.nobody_can(subjects, T) == set(), "others may, one try says little"
    able.could_not("account:new", "a", T + 2)
    assert able.nobody_can(subjects, T + 3) == {"account:new"}
    assert able.nobody_can(subjects, T + 200) == set(), "nobody has tried lately"
    able.announce("b", ["new"], 1, T + 4)
    able.could_not("account:new", "a", T + 5)
    assert able.nobody_can(subjects, T + 5) == set()
