"""A stopped account comes back: by an operator's one login, or by the workers' own from time to time."""

import threading
import time

from mailer.config import load
from mailer.mail.said import Said
from mailer.store.breaker import OPERATOR, RUNNING, STOPPED, Refusal, Trouble
from mailer.worker.probe import Probes, start
from tests.servers.waiting import eventually

WRONG = Said("AUTH", 535, "5.7.8", "no", "auth_fail", "AUTH 535")


def stop(cluster, at=None):
    cluster.breaker.refused(
        "primary", "me", Refusal(Trouble.STOPS, "auth", WRONG), time.time() if at is None else at
    )


def with_probes(cluster, every):
    text = (cluster.folder / "mailer.toml").read_text()
    line = "[accounts.primary]\n"
    cluster.configure(text.replace(line, f'{line}probe_every = "{every}"\n'))
    return Probes(load(cluster.folder / "mailer.toml", {}), cluster.client)


def settings(cluster):
    return load(cluster.folder / "mailer.toml", {})


def test_an_operators_start_is_one_login_that_succeeds_and_lets_the_account_run(cluster, smtp):
    stop(cluster)
    found = start(settings(cluster), "primary")
    assert found.judgement is None
    assert cluster.state("primary") == RUNNING
    assert smtp.logins["primary"] == 1


def test_a_start_with_a_wrong_password_costs_one_login_and_changes_nothing(cluster, smtp):
    cluster.set_password("primary", "wrong")
    stop(cluster)
    found = start(settings(cluster), "primary")
    assert found.reply.code == 535
    assert cluster.state("primary") == STOPPED
    assert smtp.refused["primary"] == 1


def test_two_starts_at_once_are_one_login(cluster, smtp):
    stop(cluster)
    smtp.delays["AUTH"] = 3.0
    configured = settings(cluster)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(start(configured, "primary")))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found.count(None) == 1
    assert smtp.logins["primary"] == 1


def test_workers_probe_once_an_interval_between_them_until_it_succeeds(cluster, smtp):
    cluster.set_password("primary", "wrong")
    settings = with_probes(cluster, "15m")._settings
    workers = [Probes(settings, cluster.client) for _ in range(3)]
    now = time.time()
    stop(cluster, at=now)
    assert [worker.sweep(now + 899) for worker in workers] == [0, 0, 0]
    assert sum(worker.sweep(now + 901) for worker in workers) == 1
    eventually(lambda: smtp.refused["primary"] == 1)
    assert sum(worker.sweep(now + 1000) for worker in workers) == 0
    cluster.set_password("primary", "right")
    eventually(lambda: cluster.client.zcard("mailer:logins:primary") == 0)
    assert sum(worker.sweep(now + 1802) for worker in workers) == 1
    eventually(lambda: cluster.state("primary") == RUNNING)
    assert smtp.logins["primary"] == 1


def test_nothing_is_probed_that_is_not_asked_for_or_that_an_operator_stopped(cluster, smtp):
    stop(cluster, at=time.time() - 1e6)
    assert Probes(load(cluster.folder / "mailer.toml", {}), cluster.client).sweep(time.time()) == 0
    cluster.breaker.start("primary", time.time())
    cluster.breaker.stop("primary", OPERATOR, time.time() - 1e6)
    assert with_probes(cluster, "15m").sweep(time.time()) == 0
    assert smtp.logins["primary"] == smtp.refused["primary"] == 0


def test_a_probe_that_cannot_reach_the_server_leaves_the_account_stopped(cluster, smtp):
    text = (cluster.folder / "mailer.toml").read_text()
    cluster.configure(text.replace(f":{smtp.port}", ":1"))
    stop(cluster)
    found = start(settings(cluster), "primary")
    assert found.judgement is not None
    assert cluster.state("primary") == STOPPED
    assert cluster.breaker.state("primary", time.time()).said == WRONG
