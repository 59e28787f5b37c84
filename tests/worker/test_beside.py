"""Celery beside Celery: a shop's application, and mail by workers beside it, in it, on its Redis."""

import json
import re
import signal
import textwrap
from pathlib import Path

import pytest
import redis
from celery import Celery

from tests.servers.project import Project
from tests.servers.scripted import ScriptedServer
from tests.servers.waiting import eventually

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "celery.md").read_text(encoding="utf-8")
IN_THE_FLEET = ("--include", "mailer.tasks", "-Q", "celery,mailer.priority,mailer.bulk")

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def server():
    with ScriptedServer() as keeping:
        yield keeping


@pytest.fixture
def place(tmp_path, redis_url, server):
    made = Project("celery", tmp_path / "shop", redis_url, server.port)
    yield made
    made.stop()


def customers(number):
    return [{"email": f"c{n}@example.org", "name": f"C {n}"} for n in range(number)]


def tasks_of_the_shop_send_mail(place, server):
    """From a task that comes twice, a task that enqueues with processes, and from beat."""
    for _ in range(2):
        place.call("shop.sign_up", 42, "ada@example.org", "Ada")
    place.call("shop.offer", "spring", customers(30))
    expected = sorted(
        ["ada@example.org", "grace@example.org", *(row["email"] for row in customers(30))]
    )
    eventually(lambda: sorted(server.mailboxes()) == expected)
    eventually(lambda: not place.open_recipients())
    subjects = {message["Subject"] for _, message in server.kept}
    assert subjects == {"Welcome, Ada", "Welcome, Grace", "Our spring offer"}


def beat_came_often(place, shop):
    eventually(lambda: place.log(shop).count("shop.remind") >= 6)
    assert "Traceback" not in place.log(shop)


def test_workers_of_their_own_beside_the_applications(place, server):
    place.environment["SHOP_BROKER"] = place.redis_url.replace("/0", "/1")
    # Where a container has it for the shop, it means the shop's.
    place.environment["CELERY_BROKER_URL"] = place.environment["SHOP_BROKER"]
    results = place.redis_url.replace("/0", "/2")
    place.environment["CELERY_RESULT_BACKEND"] = results
    shop = place.start("shop", "--beat")
    mail = place.start("mailer")
    tasks_of_the_shop_send_mail(place, server)
    beat_came_often(place, shop)
    assert "renders" not in place.log(shop), "a prefork task has processes that render"
    assert len(server.kept) == 32
    assert "shop." not in place.log(mail)
    with redis.Redis.from_url(results) as kept:
        told = [json.loads(kept.get(key)) for key in kept.keys("celery-task-meta-*")]
    # What a task sends is no child of it, for which who collects its results would wait for ever.
    assert {one["status"] for one in told} == {"SUCCESS"}
    assert [one["children"] for one in told] == [[]] * len(told)
    assert "names " + place.environment["SHOP_BROKER"] in place.log(mail), "and it is left to it"


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_the_applications_own_workers_deliver(place, server, pool):
    shop = place.start("shop", "--beat", *IN_THE_FLEET, pool=pool)
    tasks_of_the_shop_send_mail(place, server)
    beat_came_often(place, shop)
    assert len(server.kept) == 32
    place.processes[shop].send_signal(signal.SIGTERM)
    assert place.processes[shop].wait(120) == 0, place.log(shop)


def test_the_documented_application_delivers(place, server):
    code = re.search(r"```python\n(from celery.*?)```", DOCUMENT, re.DOTALL)[1]
    (place.folder / "shop.py").unlink()
    package = place.folder / "shop"
    package.mkdir()
    (package / "__init__.py").write_text(code.replace("redis://localhost:6379/0", place.redis_url))
    (package / "tasks.py").write_text("")
    (command,) = re.findall(r"^    celery -A shop worker (-Q .*)$", DOCUMENT, re.MULTILINE)
    place.start("shop", *command.split())
    place.run('import mailer; mailer.send("welcome", to="ada@example.org", context={"name": "A"})')
    server.wait_for(1)


def test_one_redis_for_both(place, server):
    shop, mail = place.start("shop", "--beat"), place.start("mailer")
    tasks_of_the_shop_send_mail(place, server)
    beat_came_often(place, shop)
    assert len(server.kept) == 32
    assert "unregistered task" not in place.log(shop) + place.log(mail)
    # Whose hands a task is in does not concern the other: a visibility timeout is an application's own.
    assert not [key for key in place.client.keys("unacked*") if b"mailer" in key]
    assert inspected(place, shop) == {"celery"}


def inspected(place, worker):
    """The queues that *worker* says it consumes."""
    shop = Celery("inspector", broker=place.redis_url, set_as_current=False)
    ask = shop.control.inspect([f"{worker}@test"], timeout=2)
    found = eventually(ask.active_queues)
    shop.close()
    return {queue["name"] for queue in found[f"{worker}@test"]}


def test_a_visibility_timeout_of_one_does_not_start_the_others_tasks_again(place, server):
    """The shop's second worker restores what is older than a second: of the shop, not of mailer."""
    text = (place.folder / "shop.py").read_text()
    (place.folder / "shop.py").write_text(
        text + "app.conf.broker_transport_options = {'visibility_timeout': 1, "
        "'unacked_restore_interval': 0.5, 'unacked_restore_throttle': 1}\n"
    )
    place.start("shop")
    mail = place.start("mailer")
    server.delays["DOT"] = 4
    place.run('import mailer; mailer.send("welcome", to="ada@example.org", context={"name": "A"})')
    eventually(lambda: not place.open_recipients())
    assert place.log(mail).count("received") == 1


def test_a_worker_that_includes_the_tasks_and_consumes_no_queue_of_ours_is_told_so(place, server):
    """And is left alone: no sweep, no pool that is refused."""
    shop = place.start("shop", "--include", "mailer.tasks", pool="solo")
    assert "this worker delivers no mail" in place.log(shop)
    (place.folder / "mailer.toml").write_text("nonsense = 1")
    chosen = place.start("shop", "--include", "mailer.tasks", "-Q", "video", pool="gevent")
    assert "delivers no mail" not in place.log(chosen)
    assert inspected(place, chosen) == {"video"}


@pytest.mark.parametrize(
    ("setting", "pool", "words"),
    [
        ("app.conf.broker_url = app.conf.broker_url[:-1] + '7'", "prefork", "broker"),
        ("app.conf.accept_content = ['pickle']", "prefork", "'json'"),
        (
            "app.conf.broker_transport_options = {'global_keyprefix': 'shop:'}",
            "prefork",
            "global_keyprefix",
        ),
        ("", "gevent", "use --pool prefork, threads or solo"),
    ],
)
def test_what_cannot_be_reconciled_is_refused_at_start_in_words(
    place, server, setting, pool, words
):
    file = place.folder / "shop.py"
    file.write_text(f"{file.read_text()}{setting}\n")
    shop = place.start("shop", *IN_THE_FLEET, pool=pool, wait=False)
    assert place.processes[shop].wait(120) != 0
    assert words in place.log(shop)
    assert "Traceback" not in place.log(shop)


def test_an_eager_application_queues_its_mail_all_the_same(place, server):
    place.start("mailer")
    place.run(
        """
        import shop
        shop.app.conf.task_always_eager = True
        shop.app.conf.task_serializer = "pickle"
        shop.app.conf.task_routes = {"mailer.*": {"queue": "nowhere"}}
        print(shop.sign_up.delay(1, "ada@example.org", "Ada").get())
        """
    )
    assert server.wait_for(1)[0][0] == "ada@example.org"


def test_a_task_that_is_not_ours_has_its_signal_handlers_back(place, server):
    """SIGTERM ends a child of the shop's at once, also after it has delivered mail."""
    (place.folder / "shop.py").write_text(
        (place.folder / "shop.py").read_text()
        + textwrap.dedent(
            """
            import signal

            @app.task(name="shop.handler")
            def handler():
                return repr(signal.getsignal(signal.SIGTERM))
            """
        )
    )
    options = ("--concurrency", "1")
    shop = place.start("shop", *IN_THE_FLEET, *options)
    place.call("shop.handler")
    place.run('import mailer; mailer.send("welcome", to="ada@example.org", context={"name": "A"})')
    server.wait_for(1)
    eventually(lambda: not place.open_recipients())
    place.call("shop.handler")
    found = eventually(
        lambda: (
            told
            if len(told := re.findall(r"shop.handler\S* succeeded in \S+ (.*)", place.log(shop)))
            == 2
            else None
        )
    )
    assert found[0] == found[1]
