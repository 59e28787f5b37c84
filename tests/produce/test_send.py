"""Single messages: the producer that a process has, keys, policies, and a broker that is away."""

import asyncio
import contextlib
import multiprocessing
import shutil
import socket
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes, policy
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import time

import pytest

import mailer
from mailer import Attachment, Campaign, asend, send
from mailer.config import Settings
from mailer.errors import (
    CampaignChangedError,
    ConfigError,
    InputError,
    LedgerUnavailableError,
    TemplateError,
)
from mailer.mail.barring.scopes import ALL
from mailer.mail.payload import decode
from mailer.mail.policy import CampaignPolicy
from mailer.operate.campaigns import cancel, status
from mailer.store.campaigns import Campaigns
from tests.conftest import free_port
from tests.servers.shop import template

ADA = "ada@example.org"


@pytest.fixture
def settings(redis_url, tmp_path):
    folder = template(tmp_path, "Hello {{ name }}", "Dear {{ name }}")
    return Settings(redis=redis_url, templates=folder, sender="Shop <news@shop.example>")


@pytest.fixture(autouse=True)
def configured(settings):
    mailer.configure(settings)
    yield
    mailer.configure(None)


def other(settings, **changes):
    """The same settings but for *changes*."""
    kept = {name: getattr(settings, name) for name in ("redis", "templates", "sender")}
    return Settings(**kept | changes)


def mails(client, campaign="send.hello"):
    """What is queued, in its order."""
    found = client.keys(f"mailer:payload:{campaign}:*")
    found.sort(key=lambda key: int(key.rpartition(b":")[2]))
    return [entry.message for key in found for entry in decode(client.get(key))]


def parsed(message):
    return message_from_bytes(message.content[0], policy=policy.default)


def sockets():
    """How many sockets this process has open."""
    found = 0
    for file in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            found += str(file.readlink()).startswith("socket:")
    return found


# What a message is.


def test_a_message_has_the_time_of_its_call_and_an_id_of_its_own(client):
    first = send("hello", to=ADA, context={"name": "Ada"})
    second = send("hello", to=ADA, context={"name": "Bob"})
    one, two = mails(client)
    assert [one.message_id, two.message_id] == [first, second]
    assert [parsed(one)["Message-ID"], parsed(two)["Message-ID"]] == [first, second]
    assert parsed(two)["Subject"] == "Hello Bob"
    assert abs(parsedate_to_datetime(parsed(one)["Date"]).timestamp() - time()) < 60
    assert parsed(one)["Auto-Submitted"] == "auto-generated"


def test_a_template_that_changed_is_read_again(client, settings):
    send("hello", to=ADA, context={"name": "Ada"})
    (settings.templates / "hello" / "subject.txt").write_text("Goodbye {{ name }}\n")
    send("hello", to=ADA, context={"name": "Ada"})
    assert [parsed(one)["Subject"] for one in mails(client)] == ["Hello Ada", "Goodbye Ada"]


def test_a_template_is_kept_until_reload_where_that_is_configured(client, settings):
    mailer.configure(other(settings, send={"reload_templates": False}))
    send("hello", to=ADA, context={"name": "Ada"})
    (settings.templates / "hello" / "subject.txt").write_text("Goodbye {{ name }}\n")
    send("hello", to=ADA, context={"name": "Ada"})
    mailer.reload()
    send("hello", to=ADA, context={"name": "Ada"})
    subjects = [parsed(one)["Subject"] for one in mails(client)]
    assert subjects == ["Hello Ada", "Hello Ada", "Goodbye Ada"]


def test_a_file_that_is_added_to_a_template_is_seen(client, settings):
    send("hello", to=ADA, context={"name": "Ada"})
    (settings.templates / "hello" / "body.html").write_text("<p>Dear {{ name }}</p>\n")
    send("hello", to=ADA, context={"name": "Ada"})
    assert [parsed(one).is_multipart() for one in mails(client)] == [False, True]


def test_a_template_is_compiled_once_whatever_a_call_attaches_and_says_in_headers(client, settings):
    mailer.configure(other(settings, send={"reload_templates": False}))
    given = {"to": ADA, "context": {"name": "Ada"}}
    send("hello", **given)
    shutil.rmtree(settings.templates / "hello")
    for number in range(3):
        file = Attachment.from_bytes(b"%d" % number * 1000, f"invoice-{number}.pdf")
        headers = {"X-Order": str(number)}
        send(
            "hello",
            **given,
            attachments=[file],
            headers=headers,
            reply_to=f"o{number}@shop.example",
        )
    send("hello", **given)
    first, *others, last = map(parsed, mails(client))
    assert first["X-Order"] is first["Reply-To"] is last["X-Order"] is None
    assert not first.is_multipart()
    assert not last.is_multipart()
    for number, one in enumerate(others):
        assert (one["X-Order"], one["Reply-To"]) == (str(number), f"o{number}@shop.example")
        (file,) = one.iter_attachments()
        assert file.get_filename() == f"invoice-{number}.pdf"
        assert file.get_content() == b"%d" % number * 1000
        assert one.get_body().get_content().split() == ["Dear", "Ada"]


def test_a_missing_variable_is_an_error_and_nothing_is_queued(client):
    with pytest.raises(TemplateError, match="name"):
        send("hello", to=ADA)
    assert client.keys("mailer:*") == []


def test_an_account_that_is_not_configured_is_refused_by_its_likely_name(settings):
    known = other(settings, accounts={"primary": {"url": "smtp://localhost:2525"}})
    with pytest.raises(ConfigError, match="did you mean 'primary'"):
        send("hello", to=ADA, context={"name": "A"}, account="primray", settings=known)
    with pytest.raises(ConfigError, match="did you mean 'primary'"):
        Campaign("spring", template="hello", account="primray", settings=known)


# Keys.


def test_the_same_key_and_content_is_one_message(client):
    first = send("hello", to=ADA, context={"name": "Ada"}, key="signup-42")
    assert send("hello", to=ADA, context={"name": "Ada"}, key="signup-42") == first
    assert len(mails(client)) == 1
    assert client.llen("mailer.priority") == 1


def test_a_key_is_kept_for_seven_days_or_as_configured(client, settings):
    send("hello", to=ADA, context={"name": "Ada"}, key="a")
    (kept,) = client.keys("mailer:sent:*")
    assert 7 * 86400 - 60 < client.ttl(kept) <= 7 * 86400
    short = other(settings, send={"remember_keys": "1h"})
    client.delete(kept)
    send("hello", to=ADA, context={"name": "Ada"}, key="a", settings=short)
    assert client.ttl(kept) <= 3600


@pytest.mark.parametrize(
    "other",
    [
        {"context": {"name": "Bob"}},
        {"to": "bob@example.org"},
        {"sender": "Other <o@shop.example>"},
        {"headers": {"X-Other": "1"}},
    ],
)
def test_the_same_key_with_other_content_is_refused(client, other):
    given = {"to": ADA, "context": {"name": "Ada"}, "key": "signup-42"}
    first = send("hello", **given)
    with pytest.raises(CampaignChangedError, match="signup-42") as caught:
        send("hello", **given | other)
    assert first in str(caught.value)
    assert len(mails(client)) == 1


def test_a_key_is_the_same_in_another_process_whatever_its_context_holds(settings, client):
    code = f"""
        import mailer, datetime, decimal
        from pathlib import Path
        class Order:
            pass
        settings = mailer.Settings(redis={settings.redis!r}, templates=Path({str(settings.templates)!r}),
            sender="n@shop.example")
        print(mailer.send("hello", to="a@example.org", key="k", settings=settings, context={{
            "name": "Ada", "tags": {{"b", "a", "c"}}, "at": datetime.date(2026, 1, 1),
            "price": decimal.Decimal("1.5"), "order": Order()}}))
    """
    words = [sys.executable, "-W", "error", "-c", textwrap.dedent(code)]
    done = {
        subprocess.run(words, check=True, capture_output=True, text=True, timeout=180).stdout
        for _ in range(2)
    }
    assert len(done) == 1
    assert len(mails(client)) == 1


def test_threads_that_race_for_a_key_send_one_message(client):
    start = threading.Barrier(8)

    def race(_):
        start.wait()
        return send("hello", to=ADA, context={"name": "Ada"}, key="one")

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(race, range(8)))) == 1
    assert len(mails(client)) == 1


def test_a_producer_that_is_killed_anywhere_and_repeats_sends_one_message(settings, client):
    """Killed at each of its socket writes in turn; the same call, made again, sends nothing more."""
    code = f"""
        import os, socket, mailer, mailer.compose, mailer.produce.send  # each child has them then
        from itertools import product
        from pathlib import Path
        settings = mailer.Settings(redis={settings.redis!r}, templates=Path({str(settings.templates)!r}),
            sender="n@shop.example")
        real = socket.socket.sendall
        def dies(left, when, key):
            def sendall(self, *given):
                nonlocal left
                if when == "before" and not left: os.kill(os.getpid(), 9)
                real(self, *given)
                if when == "after" and not left: os.kill(os.getpid(), 9)
                left -= 1
            socket.socket.sendall = sendall
            mailer.send("hello", to="a@example.org", key=key, settings=settings,
                context={{"name": "Ada"}})
            os._exit(0)
        for number, when in product(range(30), ("before", "after")):
            key = f"k{{number}}{{when}}"
            child = os.fork()
            if not child:
                dies(number, when, key)
            status = os.waitpid(child, 0)[1]
            print(key, status, flush=True)
            if not status: break
    """
    words = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=120)
    statuses = dict(line.split() for line in done.stdout.splitlines())
    for key in statuses:
        given = {"to": "a@example.org", "context": {"name": "Ada"}, "key": key}
        send("hello", sender="n@shop.example", **given)
    killed = list(statuses.values())
    assert killed.pop() == "0"
    assert len(killed) > 4
    assert set(killed) == {"9"}
    assert len(mails(client)) == len(statuses)


@pytest.mark.parametrize("key", ["", "x" * 1001])
def test_a_key_that_cannot_be_is_refused(key):
    with pytest.raises(InputError, match="key must have"):
        send("hello", to=ADA, context={"name": "Ada"}, key=key)


# Policy is the message's own.


def test_policies_of_two_messages_of_one_template_do_not_meet(client):
    send("hello", to=ADA, context={"name": "A"}, on_uncertain="hold")
    send("hello", to=ADA, context={"name": "A"})
    send("hello", to=ADA, context={"name": "A"}, retry={"attempts": 3})
    policies = {name: Campaigns(client).policy(name) for name in Campaigns(client).names()}
    assert policies.pop("send.hello") == CampaignPolicy(resend=True, stamps=True, mail=ALL)
    assert policies.pop("send.hello.hold") == CampaignPolicy(resend=False, stamps=True, mail=ALL)
    ((name, last),) = policies.items()
    assert name.startswith("send.hello.")
    assert last == CampaignPolicy(resend=True, retry={"attempts": 3}, stamps=True, mail=ALL)


def test_cancelling_what_send_has_queued_does_not_forbid_later_ones(settings, client):
    for round_ in range(3):
        send("hello", to=ADA, context={"name": "A"})
        name = "send.hello" if not round_ else f"send.hello.{round_ + 1}"
        assert status(settings, name).outcomes["queued"] == 1
        assert cancel(settings, name) == 1
    send("hello", to=ADA, context={"name": "A"})
    assert status(settings, "send.hello.4").outcomes["queued"] == 1
    assert status(settings, "send.hello").outcomes["cancelled"] == 1


def test_bad_retry_values_are_refused_in_a_sentence():
    with pytest.raises(InputError, match="did you mean 'attempts'"):
        send("hello", to=ADA, context={"name": "A"}, retry={"atempts": 3})


# In the ledger is queued.


@contextlib.contextmanager
def hanging_up():
    """A place that hangs up on whoever comes; gives its port, and who came."""
    came = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up():
            with contextlib.suppress(OSError):
                while True:
                    connection, address = listener.accept()
                    came.append(address)
                    connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        yield listener.getsockname()[1], came
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_once_it_is_in_the_ledger_the_call_returns_though_the_broker_is_away(settings, client):
    away = settings.model_copy(update={"broker": f"redis://127.0.0.1:{free_port()}/0"})
    first = send("hello", to=ADA, context={"name": "Ada"}, key="k", settings=away)
    assert [one.message_id for one in mails(client)] == [first]
    assert client.zcard("mailer:queued:priority") == 1, "the sweep finds it"
    assert send("hello", to=ADA, context={"name": "Ada"}, key="k", settings=away) == first


def test_a_broker_that_failed_is_not_asked_again_at_each_call(settings, monkeypatch):
    monkeypatch.setattr("mailer.queues.connections.QUIET", 600.0)
    with hanging_up() as (port, came):
        away = settings.model_copy(update={"broker": f"redis://127.0.0.1:{port}/0"})
        send("hello", to=ADA, context={"name": "Ada"}, settings=away)
        asked = len(came)
        for _ in range(10):
            send("hello", to=ADA, context={"name": "Ada"}, settings=away)
        assert len(came) == asked > 0


def test_a_redis_that_is_away_is_one_clear_line_and_nothing_is_queued(settings):
    gone = settings.model_copy(update={"redis": f"redis://127.0.0.1:{free_port()}/0"})
    with pytest.raises(LedgerUnavailableError, match="cannot be reached"):
        send("hello", to=ADA, context={"name": "Ada"}, settings=gone)


# One producer a process.


def test_sockets_are_constant_over_many_calls_in_one_thread_and_in_sixteen(client):
    def call(number):
        return send("hello", to=f"r{number}@example.org", context={"name": "Ada"})

    call(0)
    before = sockets()
    for number in range(1000):
        call(number)
    assert sockets() == before
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(call, range(2000)))) == 2000
        assert sockets() <= before + 2 * 16
    assert client.llen("mailer.priority") == 3001


def test_threads_that_come_and_go_leave_no_sockets_behind():
    def call():
        send("hello", to=ADA, context={"name": "Ada"})

    call()
    before = sockets()
    for _ in range(50):
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
    assert sockets() <= before + 2


def _child(queue, number):
    send("hello", to=f"c{number}@example.org", context={"name": "Ada"})
    before = sockets()
    for _ in range(100):
        send("hello", to=f"c{number}@example.org", context={"name": "Ada"})
    queue.put(sockets() - before)


def test_forked_children_send_and_do_not_disturb_their_parent(client):
    send("hello", to=ADA, context={"name": "Ada"})
    fork = multiprocessing.get_context("fork")
    queue = fork.SimpleQueue()
    children = [fork.Process(target=_child, args=(queue, number)) for number in range(3)]
    for child in children:
        child.start()
    for _ in range(100):
        send("hello", to=ADA, context={"name": "Ada"})
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert [queue.get() for _ in children] == [0, 0, 0]
    assert client.llen("mailer.priority") == 101 + 3 * 101
    assert len(mails(client)) == 101 + 3 * 101


def test_a_fork_in_the_middle_of_another_threads_call_does_not_hang():
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            mailer.reload()
            send("hello", to=ADA, context={"name": "Ada"})

    thread = threading.Thread(target=busy)
    thread.start()
    fork = multiprocessing.get_context("fork")
    try:
        for number in range(10):
            child = fork.Process(target=_send_one, args=(number,))
            child.start()
            child.join(30)
            assert child.exitcode == 0
    finally:
        stop.set()
        thread.join()


def _send_one(number):
    send("hello", to=f"f{number}@example.org", context={"name": "Ada"})


def test_connections_that_broke_are_mended(client):
    send("hello", to=ADA, context={"name": "Ada"})
    for one in client.client_list():
        if one["id"] != str(client.client_id()):
            client.client_kill_filter(_id=one["id"])
    for _ in range(3):
        send("hello", to=ADA, context={"name": "Ada"})
    assert len(mails(client)) == 4


def test_asend_sends_from_an_event_loop(client):
    async def many():
        calls = [asend("hello", to=ADA, context={"name": str(n)}) for n in range(50)]
        return await asyncio.gather(*calls)

    assert len(set(asyncio.run(many()))) == 50
    assert len(set(asyncio.run(many()))) == 50  # and from another loop
    assert len(mails(client)) == 100


def test_a_process_patched_by_gevent_sends_with_few_sockets(settings, client):
    pytest.importorskip("gevent")
    code = f"""
        from gevent import monkey; monkey.patch_all()
        import gevent.pool, os, mailer
        from pathlib import Path
        mailer.configure(mailer.Settings(redis={settings.redis!r},
            templates=Path({str(settings.templates)!r}), sender="n@shop.example"))
        def call(number):
            mailer.send("hello", to=f"r{{number}}@example.org", context={{"name": "Ada"}})
        def sockets():
            return sum("socket:" in os.readlink(f"/proc/self/fd/{{fd}}")
                for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{{fd}}"))
        call(0)
        before = sockets()
        pool = gevent.pool.Pool(8)
        pool.map(call, range(500))
        print(sockets() - before)
    """
    words = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=120)
    assert int(done.stdout) <= 16
    assert len(mails(client)) == 501


# The configuration of a process.


def test_settings_are_read_once_and_again_after_reload(settings, tmp_path, monkeypatch):
    mailer.configure(None)
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mailer.toml"
    file.write_text(f'redis = "{settings.redis}"\nsender = "One <one@shop.example>"\n')
    campaign = Campaign("spring", template="hello")
    assert campaign.message({"email": ADA, "name": "A"})["From"] == "One <one@shop.example>"
    file.write_text(f'redis = "{settings.redis}"\nsender = "Two <two@shop.example>"\n')
    assert Campaign("s", template="hello").message({"email": ADA, "name": "A"})["From"] == (
        "One <one@shop.example>"
    )
    mailer.reload()
    assert Campaign("s", template="hello").message({"email": ADA, "name": "A"})["From"] == (
        "Two <two@shop.example>"
    )


def test_a_daemon_that_goes_to_another_folder_keeps_its_configuration(tmp_path, monkeypatch):
    mailer.configure(None)
    (tmp_path / "mailer.toml").write_text('sender = "One <one@shop.example>"\n')
    monkeypatch.chdir(tmp_path)
    assert mailer.config.current().sender == "One <one@shop.example>"
    monkeypatch.chdir("/")
    assert mailer.config.current().sender == "One <one@shop.example>"


def test_importing_changes_nothing_of_the_host_process():
    code = """
        import logging, signal, celery
        shop = celery.Celery("shop")
        before = [signal.getsignal(number) for number in range(1, 32) if number not in (9, 19)]
        handlers = list(logging.getLogger().handlers)
        import mailer
        for name in mailer.__all__:
            getattr(mailer, name)
        assert celery.current_app._get_current_object() is shop
        @celery.shared_task
        def mine(): pass
        assert mine.app is shop
        assert handlers == logging.getLogger().handlers
        assert before == [signal.getsignal(n) for n in range(1, 32) if n not in (9, 19)]
    """
    subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)], check=True, timeout=180
    )
