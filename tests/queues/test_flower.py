"""What a real Flower shows of a real worker, and what it never shows."""

import ast
import threading
import time

import pytest

from mailer.store import keys
from mailer.store.feedback.records import Brake, Feedback, Note, Returned
from tests.servers.cluster import fresh, mailbox
from tests.servers.waiting import eventually

from .browser import browser, program
from .scenario import FAILED, PASSWORD

pytestmark = pytest.mark.timeout(600)

SECRETS = ("@example.org", "news@", "the secret body", PASSWORD, "wrong-horse")

PATIENCE = 100.0
"""Seconds for which the server withholds its replies, unless the test has seen what it came for."""

chromium = pytest.mark.skipif(program() is None, reason="no Chromium here")


def test_a_failed_delivery_is_a_failure_whose_exception_says_account_stage_and_reply(flower):
    failed = flower.tasks(state="FAILURE")
    assert len(failed) == FAILED
    for task in failed:
        assert task["name"] == "mailer.deliver"
        assert task["exception"] == (
            "AuthenticationFailedError('account primary, AUTH: 535 5.7.8 authentication failed')"
        )


def test_arguments_read_like_a_sentence_and_keywords_are_a_literal_dict(flower):
    failed = sorted(flower.tasks(state="FAILURE"), key=lambda task: task["args"])
    assert [task["args"] for task in failed] == [
        f"(spring-2026, batch {number}: 100 messages through primary)"
        for number in range(1, FAILED + 1)
    ]
    assert ast.literal_eval(failed[0]["kwargs"]) == {
        "campaign": "spring-2026",
        "batch": 1,
        "messages": 100,
        "account": "primary",
    }


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("kwargs:campaign=spring-2026", FAILED),
        ("kwargs:campaign=news", 1),
        ("kwargs:account=primary", FAILED),
        ("result:535", FAILED),
        ("result:auth", FAILED),
        ("state:FAILURE", FAILED),
        ("result:535 AND kwargs:campaign=spring-2026 AND state:FAILURE", FAILED),
        ("result:rejected", 1),
        ("result:550", 1),
        ("result:454", 0),
    ],
)
def test_a_search_finds_by_campaign_account_reply_code_and_reason(flower, words, found):
    assert len(flower.search(words)) == found


def test_a_batch_with_some_refusals_succeeds_with_its_counts_and_top_replies_as_result(flower):
    (task,) = (task for task in flower.tasks(state="SUCCESS") if "(news," in task["args"])
    assert task["result"].startswith("'98 accepted, 2 rejected; RCPT: 550 5.1.1 ")
    assert task["result"].endswith(" (2)'")


def test_the_broker_page_shows_the_dead_letters_with_their_number(flower):
    assert flower.queues() == {"mailer.bulk": 0, "mailer.dead": FAILED, "mailer.priority": 0}
    assert "mailer.dead" in flower.get("/broker")


def test_the_broker_page_shows_the_queue_of_dead_letters_though_no_worker_answers(flower):
    assert flower.unanswered == {"mailer.bulk": 0, "mailer.dead": 0, "mailer.priority": 0}


def test_a_worker_counts_the_queue_of_dead_letters_among_its_own(flower):
    names = {queue["name"] for queue in flower.asked("one@test")["active_queues"]}
    assert names == {"mailer.bulk", "mailer.dead", "mailer.priority"}


def test_the_worker_page_and_inspect_show_words_instead_of_arguments(cluster, flower, smtp):
    inspect = cluster.broker.app.control.inspect(["one@test"], timeout=5)
    seen = threading.Event()
    smtp.on_taken = lambda _taken: seen.wait(PATIENCE)
    try:
        cluster.enqueue("slow", "slow", 300)
        held = eventually(lambda: (inspect.active() or {}).get("one@test"))
        assert held[0]["args"].endswith(": 100 messages through slow)")
        assert held[0]["kwargs"].startswith("{'campaign': 'slow', 'batch': ")
        eventually(lambda: flower.shows("/worker/one@test", "100 messages through slow"))
    finally:
        smtp.on_taken = lambda _taken: None
        seen.set()
    eventually(lambda: cluster.final("slow"))


def test_what_came_back_is_a_task_with_the_counts_of_its_campaign(cluster, flower):
    record = Feedback(cluster.client)
    for number, kind in enumerate(("bounce", "bounce", "complaint")):
        one = Returned(kind, mailbox("welcome", number), time.time(), said="no such user")
        note = Note("welcome", fresh("welcome", number).fingerprint, one, None, Brake())
        assert record.note(note).answer == "new"
    cluster.client.delete(keys.lock("flower"))  # a minute later
    eventually(lambda: flower.search("result:complained"))
    told = [task for task in flower.tasks(state="SUCCESS") if task["name"] == "mailer.feedback"]
    # Its minute may have been over before all had come back: then there is an earlier one, too.
    (task,) = (task for task in told if "complained" in task["result"])
    assert task["result"] == "1 complained, 2 bounced"
    assert task["args"] == "(welcome: what came back)"
    assert ast.literal_eval(task["kwargs"]) == {"campaign": "welcome"}
    assert task["worker"] == "one@test"
    assert flower.queues()["mailer.bulk"] == 0


def test_each_task_has_a_page_that_says_why(flower):
    for task in flower.tasks(state="FAILURE"):
        page = flower.get(f"/task/{task['uuid']}")
        assert "535 5.7.8" in page
        assert "spring-2026" in page


@pytest.mark.chromium
@chromium
def test_in_a_browser_the_search_leads_from_a_reply_code_to_the_failed_batches(flower, tmp_path):
    with browser(tmp_path) as page:
        text = page.open(f"{flower.url}/tasks?state=FAILURE", "spring-2026, batch 1")
        flower.served.append(text)
        assert "535 5.7.8" in text
        link = page.evaluate("document.querySelector('a[href*=\"/task/\"]').href")
        reason = "account primary, AUTH: 535 5.7.8"
        assert reason in page.open(link, reason), "a task is a click away, with its reason whole"
        page.open(f"{flower.url}/tasks?state=FAILURE", "spring-2026, batch 1")
        search = "var box = document.querySelector('input[type=search]'); "
        search += "box.value = 'result:454'; box.dispatchEvent(new Event('input')); "
        search += "box.dispatchEvent(new KeyboardEvent('keyup', {key: '4'})); 1"
        page.evaluate(search)
        eventually(lambda: "spring-2026" not in page.evaluate("document.body.innerText"))
        page.evaluate(search.replace("454", "535"))
        eventually(lambda: "spring-2026" in page.evaluate("document.body.innerText"))
        text = page.open(f"{flower.url}/broker", "mailer.dead")
        flower.served.append(text)
        assert str(FAILED) in text.partition("mailer.dead")[2].split()[0]


def test_nothing_that_flower_served_names_a_recipient_a_content_or_a_secret(flower):
    for state in ("FAILURE", "SUCCESS"):
        for task in flower.tasks(state=state):
            flower.get(f"/task/{task['uuid']}")
            flower.get(f"/api/task/info/{task['uuid']}")
    for page in ("/", "/workers", "/tasks", "/broker", "/worker/one@test", "/metrics"):
        flower.get(page)
    everything = "".join(flower.served)
    assert "spring-2026" in everything
    for secret in SECRETS:
        assert secret not in everything
