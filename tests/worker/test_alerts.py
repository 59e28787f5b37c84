"""Who is told of an event: once over the whole cluster, whatever fails on the way."""

import json
import logging
import sys
import threading
from time import time

import pytest

from mailer.config import Settings
from mailer.errors import ConfigError
from mailer.mail.said import Said
from mailer.store import keys
from mailer.store.alerts import LEASE, Event, Outbox, written
from mailer.store.breaker import OPERATOR, Breaker, Refusal, Trouble
from mailer.store.events import Aside, EventStream, Gaps, Rewinds, Rewound
from mailer.worker import alerts
from mailer.worker.alerts import Alerts
from tests.servers.waiting import PATIENCE

NOW = 1_800_000_000.0
WRONG = Said("AUTH", 535, "5.7.8", "news@shop.example refused", "auth_fail", "AUTH 535")

told: list[Event] = []


def hook(event):
    told.append(event)


def failing_hook(event):
    told.append(event)
    raise RuntimeError("no network")


@pytest.fixture(autouse=True)
def nobody_told():
    told.clear()


@pytest.fixture
def breaker(client):
    return Breaker(client)


def with_alerts(client, **table):
    return Alerts(Settings.model_validate({"alerts": table}, context={}), client)


def test_a_hook_is_told_that_an_account_stopped_and_why_without_addresses(client, breaker):
    breaker.refused("primary", "me", Refusal(Trouble.STOPS, "auth", WRONG), NOW)
    with_alerts(client, hook=f"{__name__}:hook").tell(NOW)
    assert told == [Event("account_stopped", NOW, "primary", "auth", "AUTH", "535 5.7.8 … refused")]
    assert str(told[0]) == "account primary was stopped (auth): AUTH 535 5.7.8 … refused"


def test_an_event_is_told_once_however_many_workers_look(client, breaker):
    breaker.stop("primary", OPERATOR, NOW)
    workers = [with_alerts(client, hook=f"{__name__}.hook") for _ in range(4)]
    threads = [threading.Thread(target=worker.tell, args=(NOW,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 1
    assert len(Outbox(client)) == 0


def test_stopping_and_starting_are_told_in_order(client, breaker):
    breaker.stop("primary", OPERATOR, NOW)
    breaker.start("primary", NOW + 1)
    with_alerts(client, hook=f"{__name__}:hook").tell(NOW + 1)
    assert [event.event for event in told] == ["account_stopped", "account_started"]


def test_a_command_gets_the_event_as_json_on_standard_input(client, breaker, tmp_path):
    target = tmp_path / "event.json"
    script = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())"
    breaker.refused("primary", "me", Refusal(Trouble.STOPS, "auth", WRONG), NOW)
    with_alerts(client, command=[sys.executable, "-c", script, str(target)]).tell(NOW)
    assert json.loads(target.read_text()) == {
        "event": "account_stopped",
        "at": NOW,
        "account": "primary",
        "reason": "auth",
        "stage": "AUTH",
        "reply": "535 5.7.8 … refused",
    }


def test_what_fails_is_logged_and_not_told_again(client, breaker, caplog):
    breaker.stop("primary", OPERATOR, NOW)
    telling = with_alerts(client, hook=f"{__name__}:failing_hook", command=["/no/such/program"])
    with caplog.at_level(logging.WARNING, logger=alerts.__name__):
        assert telling.tell(NOW) == 1
        assert telling.tell(NOW + LEASE + 1) == 0
    assert "failing_hook failed" in caplog.text
    assert "/no/such/program failed" in caplog.text


def test_a_command_that_fails_is_named_with_what_it_said(client, breaker, caplog):
    breaker.stop("primary", OPERATOR, NOW)
    script = "import sys; sys.exit('no pager')"
    with_alerts(client, command=[sys.executable, "-c", script]).tell(NOW)
    assert "exit status 1: no pager" in caplog.text


def test_an_event_whose_teller_died_is_another_workers_after_the_lease(client, breaker):
    breaker.stop("primary", OPERATOR, NOW)
    outbox = Outbox(client)
    assert outbox.take(NOW) is not None
    assert outbox.take(NOW + LEASE - 1) is None
    token, event = outbox.take(NOW + LEASE)
    assert event.account == "primary"
    outbox.strike_out(token)
    assert len(outbox) == 0


def test_dead_letters_beyond_the_threshold_are_one_event_until_they_are_fewer_again(client):
    outbox = Outbox(client)
    for letters in (2, 3, 4, 9):
        client.zadd(keys.DEAD, {str(number): NOW for number in range(letters)})
        outbox.watch_dead_letters(3, NOW)
    assert len(outbox) == 1
    client.zremrangebyrank(keys.DEAD, 2, -1)
    outbox.watch_dead_letters(3, NOW)
    client.zadd(keys.DEAD, {"again": NOW})
    outbox.watch_dead_letters(3, NOW)
    assert len(outbox) == 2
    telling = with_alerts(client, hook=f"{__name__}:hook")
    telling.tell(NOW)
    assert [str(event) for event in told] == ["3 dead letters or more: mailer dead list"] * 2


def test_the_sweep_watches_and_tells_beside_its_other_duties(client):
    client.zadd(keys.DEAD, {"one": NOW})
    heard = threading.Event()
    telling = with_alerts(client, dead_letters=1)
    telling._hooks = [lambda _event: heard.set()]
    telling.sweep(time())
    assert heard.wait(PATIENCE)
    telling._teller.join(PATIENCE)
    assert len(Outbox(client)) == 0


def test_events_of_the_same_content_stay_apart():
    event = Event("account_started", NOW, "primary")
    assert written(event) != written(event)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("nothing", "names no function"),
        ("no_such_module:hook", "cannot be imported"),
        (f"{__name__}:no_such_hook", "cannot be imported"),
        (f"{__name__}:NOW", "is no function"),
    ],
)
def test_a_hook_that_cannot_be_had_is_named_at_the_start(client, path, why):
    with pytest.raises(ConfigError, match=f"alerts.hook: .*{why}"):
        with_alerts(client, hook=path)


def test_a_hook_may_lie_beside_the_configuration(client, tmp_path):
    (tmp_path / "my_pager.py").write_text("def page(event):\n    pass\n")
    settings = Settings.model_validate({"alerts": {"hook": "my_pager:page"}}, context={})
    settings._file = tmp_path / "mailer.toml"
    assert alerts.hooks(settings)[-1].__name__ == "page"


def test_a_consumer_that_is_behind_is_told_once_until_it_has_caught_up(client):
    settings = Settings.model_validate(
        {"alerts": {"hook": f"{__name__}:hook"}, "events": {"hook": "shop.mail:on_event"}},
        context={},
    )
    stream, now = EventStream(client), time()
    stream.take("hook")
    client.xadd(keys.EVENTS, {"n": 3}, id=f"{int((now - 400) * 1000)}-0")
    client.set(keys.EVENTS_ADDED, 3)
    stream.note_trouble("hook", "no answer within 30 s")
    Aside(client).put("hook", b"{}", 1, "why")
    watching = Alerts(settings, client)
    for _ in range(3):
        watching._watch_consumers(now)
    watching.tell(now)

    late, aside = sorted(told, key=lambda one: one.event)
    assert (late.event, late.consumer, late.messages) == ("events_late", "hook", 3)
    assert str(late) == "hook is behind by the events of 3 messages: no answer within 30 s"
    assert str(aside) == "hook did not take events: mailer events list"

    stream.acknowledge("hook", stream.read("hook", 10))
    watching._watch_consumers(now)
    client.xadd(keys.EVENTS, {"n": 3}, id=f"{int((now - 390) * 1000)}-0")
    watching._watch_consumers(now)
    watching.tell(now)
    assert [one.event for one in told].count("events_late") == 2


def test_what_left_redis_unread_is_told_once(client):
    settings = Settings.model_validate(
        {"alerts": {"hook": f"{__name__}:hook"}, "events": {"hook": "shop.mail:on_event"}},
        context={},
    )
    EventStream(client).take("hook")
    client.set(keys.EVENTS_ADDED, 3)
    now = time()
    Gaps(client).look("hook", now)
    watching = Alerts(settings, client)
    for _ in range(3):
        watching._watch_consumers(now)
    watching.tell(now)

    (missed,) = told
    assert (missed.event, missed.consumer, missed.messages) == ("events_missed", "hook", 3)
    assert str(missed) == "hook missed what became of 3 messages: mailer events list"


def test_that_redis_was_restored_is_told_once(client):
    settings = Settings.model_validate(
        {"alerts": {"hook": f"{__name__}:hook"}, "history": {"url": "sqlite:///h.db"}}, context={}
    )
    watching, now = Alerts(settings, client), time()
    Rewinds(client, "history").note(Rewound(3, now - 60, now), 1)
    for _ in range(3):
        watching._watch_consumers(now)
    watching.tell(now)

    (one,) = told
    assert (one.event, one.messages) == ("ledger_restored", 3)
    assert "older than the history by what became of 3 messages" in str(one)
