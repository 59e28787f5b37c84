"""Campaigns and single messages as producers use them, against a real Redis."""

import subprocess
import sys
import textwrap
import time
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from mailer import Campaign, send
from mailer.config import Settings
from mailer.errors import (
    AttachmentError,
    CampaignChangedError,
    CampaignNotFoundError,
    InputError,
    InvalidRowsError,
    LedgerUnavailableError,
)
from mailer.mail.payload import decode
from mailer.mail.recipients import fingerprint, parse
from mailer.produce import enqueue
from mailer.store import keys
from mailer.store.suppression import Suppressed, Suppression
from mailer.store.workers.able import Able
from tests.servers.shop import template

ROWS = [{"email": f"r{number}@example.org", "name": f"N{number}"} for number in range(1, 6)]


@pytest.fixture
def settings(redis_url, tmp_path):
    folder = template(tmp_path, "Hello {{ name }}", "Dear {{ name }}, it is {{ season }}.")
    return Settings(redis=redis_url, templates=folder)


@pytest.fixture
def make(settings):
    def make(name="spring", **options):
        options = {"context": {"season": "spring"}, "batch_size": 2, **options}
        return Campaign(
            name, template="hello", sender="Shop <news@shop.example>", settings=settings, **options
        )

    return make


def payloads(client, name="spring"):
    found = sorted(
        client.keys(f"mailer:payload:{name}:*"), key=lambda key: int(key.rpartition(b":")[2])
    )
    return [decode(client.get(key)) for key in found]


def test_each_recipient_is_queued_as_a_finished_message(make, client):
    receipt = make().enqueue(ROWS)
    assert receipt.queued == 5
    batches = payloads(client)
    assert [len(batch) for batch in batches] == [2, 2, 1]
    mail = message_from_bytes(batches[0][0].message.content[0], policy=policy.default)
    assert mail.get_content().split("\r\n") == ["Dear N1, it is spring.", ""]
    assert batches[0][0].message.forward_path == "r1@example.org"


@pytest.mark.parametrize(
    ("workers", "version"),
    [
        ({}, 1),  # 0.1.0's say nothing
        ({"new": (2, 0)}, 2),
        ({"new": (2, 0), "old": (1, 0)}, 1),
        ({"new": (2, 0), "gone": (1, 60)}, 2),
        ({"newer": (9, 0)}, 2),
    ],
)
def test_a_batch_is_written_so_that_every_living_worker_can_read_it(make, client, workers, version):
    for name, (reads, silent) in workers.items():
        Able(client).announce(name, ["primary"], reads, time.time() - silent)
    make().enqueue(ROWS)
    written = {client.get(key)[:2] for key in client.keys("mailer:payload:spring:*")}
    assert written == {b"M" + bytes([version])}
    mail = message_from_bytes(payloads(client)[1][1].message.content[0], policy=policy.default)
    assert mail.get_content().split("\r\n") == ["Dear N4, it is spring.", ""]
    assert mail["To"] == "N4 <r4@example.org>"


def test_processes_that_render_write_what_workers_read(make, client):
    Able(client).announce("new", ["primary"], 2, time.time())
    make().enqueue(ROWS, processes=2)
    assert {client.get(key)[1] for key in client.keys("mailer:payload:spring:*")} == {2}
    assert [len(batch) for batch in payloads(client)] == [2, 2, 1]


@pytest.mark.parametrize(
    ("total", "sizes"),
    [
        (1, [1]),
        (200, [200]),
        (201, [101, 50, 50]),
        (440, [200, 120, 60, 60]),
        (1000, [200, 200, 200, 200, 100, 50, 50]),
        (1050, [200, 200, 200, 200, 125, 63, 62]),
    ],
)
def test_the_last_batches_of_a_list_shrink_and_none_is_tiny(make, client, total, sizes):
    """Else one process still sends five hundred while the others have nothing left."""
    rows = [{"email": f"r{number}@example.org", "name": "N"} for number in range(total)]
    assert make(batch_size=200).enqueue(rows).queued == total
    batches = payloads(client)
    assert [len(batch) for batch in batches] == sizes
    sent = [entry.message.forward_path for batch in batches for entry in batch]
    assert sent == [row["email"] for row in rows]


def test_task_messages_name_the_batch_and_hold_nothing_of_the_mail(make, client):
    make().enqueue(ROWS)
    tasks = client.lrange("mailer.bulk", 0, -1)
    assert len(tasks) == 3
    assert not any(b"example.org" in task or b"Dear" in task for task in tasks)


def test_enqueueing_again_queues_nobody_twice(make, client):
    make().enqueue(ROWS[:3])
    receipt = make().enqueue(ROWS)
    assert (receipt.queued, receipt.already_queued) == (2, 3)
    assert make().status().total == 5


def test_duplicates_malformed_and_suppressed_rows_are_named(make, client):
    Suppression(client).add(
        [(fingerprint("r5@example.org"), Suppressed("r5@example.org", "", 0.0))]
    )
    rows = [*ROWS, {"email": "R1@EXAMPLE.ORG", "name": "x"}, {"email": "nonsense", "name": "x"}]
    receipt = make().enqueue(rows)
    assert [(one.row, one.kind) for one in receipt.complaints] == [
        (5, "suppressed"),
        (6, "duplicate"),
        (7, "invalid"),
    ]
    assert receipt.rows == 7
    assert all(one.reason for one in receipt.complaints)


def test_a_row_without_a_variable_stops_everything_before_the_first_message(make, client):
    with pytest.raises(InvalidRowsError, match=r"name.*row 2") as caught:
        make().enqueue([ROWS[0], {"email": "b@example.org"}])
    assert "nothing was queued" in str(caught.value)
    assert "example.org" not in str(caught.value)
    # Each new connection to the broker writes this for a second: does it take writes?
    assert {*client.keys("mailer:*")} <= {keys.SERVING.encode()}


def test_faulty_rows_are_left_out_and_named_when_that_is_asked_for(make):
    receipt = make().enqueue([ROWS[0], {"email": "b@example.org"}], skip_faulty=True)
    (complaint,) = receipt.complaints
    assert (receipt.queued, complaint.row, complaint.kind) == (1, 2, "invalid")
    assert "name" in complaint.reason


def test_an_iterator_is_checked_as_a_whole_and_queued_as_a_whole(make):
    assert make().enqueue(iter(ROWS)).queued == 5
    with pytest.raises(InvalidRowsError):
        make("other").enqueue(row for row in [*ROWS, {"email": "b@example.org"}])


class ReadAnew:
    """Rows that can be read several times, and are others from the second time on."""

    def __init__(self, first, then):
        self.rows, self.then = first, then

    def __iter__(self):
        yield from self.rows
        self.rows = self.then


def test_a_row_of_a_list_is_judged_once_and_what_reads_otherwise_again(make, client, monkeypatch):
    judged = []

    def counting(row, number):
        judged.append(number)
        return parse(row, number)

    monkeypatch.setattr(enqueue, "parse", counting)
    make().enqueue(ROWS)
    assert judged == [1, 2, 3, 4, 5]
    judged.clear()
    again = [{**row, "email": f"other-{row['email']}"} for row in ROWS]
    other = make("other")
    assert other.enqueue(ReadAnew(ROWS, again)).queued == 5
    assert judged == [1, 2, 3, 4, 5] * 2
    sent = {one.message.forward_path for batch in payloads(client, "other") for one in batch}
    assert sent == {row["email"] for row in again}


def test_a_changed_row_is_refused_until_it_is_accepted(make):
    make().enqueue(ROWS)
    changed = [{**ROWS[0], "name": "Other"}, *ROWS[1:]]
    with pytest.raises(CampaignChangedError, match="row 1"):
        make().enqueue(changed)
    assert make().enqueue(changed, accept_changes=True).already_queued == 5


def test_a_changed_template_is_refused_until_it_is_accepted(make, settings):
    make().enqueue(ROWS[:1])
    (settings.templates / "hello" / "body.txt").write_text("Other {{ name }} {{ season }}\n")
    with pytest.raises(CampaignChangedError, match="template"):
        make().enqueue(ROWS)
    assert make().enqueue(ROWS, accept_changes=True).queued == 4


def test_changed_settings_are_named(make):
    make().enqueue(ROWS[:1])
    with pytest.raises(CampaignChangedError, match="context"):
        make(context={"season": "autumn"}).enqueue(ROWS)


def test_a_campaign_is_paused_resumed_and_cancelled(make):
    campaign = make()
    campaign.enqueue(ROWS)
    campaign.pause()
    assert campaign.status().state == "paused"
    campaign.resume()
    assert campaign.status().state == "running"
    assert campaign.cancel() == 5
    assert campaign.status().outcomes["cancelled"] == 5
    with pytest.raises(CampaignChangedError, match="cancelled"):
        campaign.enqueue(ROWS)
    with pytest.raises(CampaignChangedError, match="cancelled"):
        campaign.resume()


def test_the_status_of_an_unknown_campaign_says_so(make):
    with pytest.raises(CampaignNotFoundError, match="spring"):
        make().status()


def test_several_processes_render_the_same_batches_in_order(make, client):
    make("one").enqueue(ROWS)
    make("two").enqueue(ROWS, processes=2)
    one, two = payloads(client, "one"), payloads(client, "two")
    assert [[entry.message.forward_path for entry in batch] for batch in one] == [
        [entry.message.forward_path for entry in batch] for batch in two
    ]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"name": "a b"}, "campaign name"),
        ({"on_uncertain": "drop"}, "on_uncertain"),
        ({"window": "always"}, "window"),
        ({"retry": {"atempts": 3}}, "did you mean 'attempts'"),
    ],
)
def test_bad_arguments_are_refused_in_a_sentence(make, options, complaint):
    with pytest.raises(InputError, match=complaint):
        make(**options)


def test_a_single_message_goes_to_the_queue_ahead_of_campaigns(settings, client):
    options = {"to": "ada@example.org", "sender": "Shop <news@shop.example>", "settings": settings}
    message_id = send("hello", context={"name": "Ada", "season": "spring"}, **options)
    again = send("hello", context={"name": "Ada", "season": "spring"}, **options)
    assert message_id != again
    assert client.llen("mailer.priority") == 2
    assert payloads(client, "send.hello")[0][0].message.message_id == message_id


def test_a_single_message_to_a_suppressed_address_is_refused(settings, client):
    Suppression(client).add([(fingerprint("a@example.org"), Suppressed("a@example.org", "", 0.0))])
    with pytest.raises(InputError, match="suppression"):
        send(
            "hello",
            to="a@example.org",
            sender="n@shop.example",
            context={"name": "A", "season": "s"},
            settings=settings,
        )


def test_a_redis_that_is_not_there_is_one_clear_line(make, settings):
    gone = settings.model_copy(update={"redis": "redis://127.0.0.1:1/0"})
    campaign = Campaign("spring", template="hello", sender="n@shop.example", settings=gone)
    with pytest.raises(LedgerUnavailableError, match="cannot be reached"):
        campaign.enqueue(ROWS)


def test_a_worker_imports_no_template_machinery_and_a_producer_no_servers():
    code = textwrap.dedent(
        """
        import sys, mailer.tasks
        assert "jinja2" not in sys.modules, "workers know nothing of Jinja"
        """
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=180)


@pytest.mark.parametrize("files", [["price.pdf"], "price.pdf", [Path("price.pdf")]])
def test_a_name_instead_of_an_attachment_is_refused_in_words(make, files):
    with pytest.raises(AttachmentError, match=r"Attachment\.from_path"):
        make(attachments=files)


@pytest.mark.parametrize("says", [True, False])
def test_what_the_configuration_says_of_one_click_is_said_in_the_mail(settings, says):
    off = {"url": "https://shop.example/off/{email}", "one_click": says}
    campaign = Campaign(
        "spring",
        template="hello",
        sender="news@shop.example",
        settings=Settings(redis=settings.redis, templates=settings.templates, unsubscribe=off),
        context={"season": 1},
    )
    message = campaign.message({"email": "ada@x.example", "name": "A"})
    assert message["List-Unsubscribe"] == "<https://shop.example/off/ada%40x.example>"
    assert ("List-Unsubscribe-Post" in message) is says
