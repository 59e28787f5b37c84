"""Dead letters: what shows on the broker's queue, and how they go on."""

import json
from collections import Counter
from email import message_from_bytes
from email.policy import default
from time import time

import pytest
from celery import Celery

from mailer.config import Settings
from mailer.errors import ConfigError, InputError, PayloadError
from mailer.mail.message import Message
from mailer.mail.payload import Entry, decode, encode
from mailer.mail.policy import CampaignPolicy
from mailer.mail.said import Said
from mailer.mail.status import Status
from mailer.operate.dead_letters import DeadLetterOffice
from mailer.operate.resend_as import with_sender
from mailer.queues.application import application, defaults
from mailer.queues.broker import Broker, Task
from mailer.queues.dead_queue import PATIENCE, DeadQueue
from mailer.store.breaker import OPERATOR, Breaker, Refusal, Trouble
from mailer.store.campaigns import CANCELLED, Campaigns
from mailer.store.dead_letters import DeadLetters, Filter
from mailer.store.ledger import Burial, Claim, Fresh, Ledger
from mailer.worker.dead_letters import TIDY_EVERY, DeadLetterDuty

SAID = Said(
    "AUTH", 535, "5.7.8", "no", "auth_fail", "AUTH 535", 1, ("C: AUTH …", "S: 535 5.7.8 no")
)


def message(number, sender="Shop <news@shop.example>"):
    content = (
        f"From: {sender}\r\nTo: r{number}@example.org\r\nSubject: =?utf-8?q?=C3=84rger?=\r\n"
        f"Message-ID: <{number}@shop.example>\r\n\r\nthe secret body\r\n"
    ).encode()
    return Message(
        "news@shop.example", f"r{number}@example.org", (content,), f"<{number}@shop.example>"
    )


class Place:
    """A Redis and its broker with dead letters made by hand."""

    def __init__(self, client, url):
        self.client = client
        self.broker = Broker(application(url))
        self.settings = Settings.model_validate(
            {
                "accounts": {
                    "primary": {"url": "smtp://127.0.0.1"},
                    "second": {"url": "smtp://127.0.0.1"},
                }
            },
            context={},
        )
        self.office = DeadLetterOffice(client, self.broker, self.settings)
        self.duty = DeadLetterDuty(client, self.broker)
        self.queue = DeadQueue(self.broker.app)
        self.letters = DeadLetters(client)
        self.ledger = Ledger(client)
        self.breaker = Breaker(client)
        self.campaigns = Campaigns(client)

    def batch(self, numbers, campaign="spring", account="primary", payload=None):
        self.campaigns.open(
            campaign,
            digest="d",
            summary={},
            policy=CampaignPolicy(),
            accept_changes=False,
            now=time(),
        )
        ref = self.campaigns.next_batch(campaign)
        fresh = [Fresh(number.to_bytes(8, "big"), 7) for number in numbers]
        entries = [
            Entry(message(number), one.fingerprint)
            for number, one in zip(numbers, fresh, strict=True)
        ]
        done = self.ledger.enqueue(
            ref,
            run=1,
            queue="bulk",
            account=account,
            payload=encode(entries) if payload is None else payload,
            recipients=fresh,
            now=time(),
        )
        assert done.state == "queued"
        return ref

    def bury(self, numbers, reason="auth", *, said=SAID, status=Status.DEAD, at=None, **where):
        """Make a dead letter of a new batch; returns its id."""
        ref = self.batch(numbers, **where)
        now = time() if at is None else at
        claim = self.ledger.claim(ref, "me", now, now + 10)
        assert isinstance(claim, Claim)
        identifier = f"{ref}.1.rest"
        burial = Burial(identifier, status, reason, said.encode(), claim.positions)
        assert self.ledger.bury(claim, burial, now) == len(numbers)
        return identifier

    def shown(self):
        raw = self.client.lrange("mailer.dead", 0, -1)
        return [json.loads(one)["headers"]["id"] for one in reversed(raw)]

    def outcomes(self, campaign="spring"):
        found = self.campaigns.progress(campaign, time()).outcomes
        return {word: number for word, number in found.items() if number}

    def tasks(self):
        raw = self.client.lrange("mailer.bulk", 0, -1)
        return [json.loads(one)["headers"] for one in reversed(raw)]

    def replay(self, which=None, **how):
        letters = list(self.office.find(which or Filter(), time()))
        return Counter(moved.how for moved in self.office.replay(letters, **how))

    def purge(self, which=None):
        letters = list(self.office.find(which or Filter(), time()))
        return Counter(moved.how for moved in self.office.purge(letters))


@pytest.fixture
def place(client, redis_url):
    return Place(client, redis_url)


# What shows on the queue.


def test_a_dead_letter_shows_as_a_task_message_that_reads_like_a_sentence(place):
    identifier = place.bury([1, 2])
    assert place.duty.publish([identifier]) == 1
    assert len(place.queue) == 1
    assert place.letters.unpublished() == []
    (raw,) = place.client.lrange("mailer.dead", 0, -1)
    headers = json.loads(raw)["headers"]
    assert headers["id"] == identifier
    assert headers["task"] == "mailer.dead"
    assert headers["argsrepr"] == ("(spring, batch 1: 2 messages through primary, dead: auth 535)")
    assert headers["kwargsrepr"] == repr(
        {
            "campaign": "spring",
            "batch": 1,
            "messages": 2,
            "account": "primary",
            "reason": "auth",
            "code": 535,
        }
    )
    assert b"example.org" not in raw
    assert b"secret" not in raw


def test_publishing_what_is_no_dead_letter_any_more_does_nothing(place):
    identifier = place.bury([1])
    place.letters.drop(identifier, time())
    assert place.duty.publish([identifier]) == 0
    assert place.shown() == []


def test_what_a_crash_left_unpublished_is_published_by_the_sweep_when_it_is_late(place):
    now = time()
    late = place.bury([1], at=now - PATIENCE - 1)
    place.bury([2], at=now)
    place.duty.publish_late(now)
    assert place.shown() == [late]


def test_sweeps_of_two_workers_publish_a_late_letter_once(place, redis_url):
    identifier = place.bury([1], at=time() - PATIENCE - 1)
    for _ in range(2):
        DeadLetterDuty(place.client, place.broker).publish_late(time())
    assert place.shown() == [identifier]


def test_a_message_that_is_there_twice_or_whose_letter_is_gone_is_removed(place):
    first, second, third = (place.bury([number]) for number in (1, 2, 3))
    place.duty.publish([first, second, first, third, second])
    place.letters.drop(third, time())
    place.duty.tidy()
    assert place.shown() == [first, second]


def test_a_message_that_is_missing_is_published_again(place):
    old = time() - PATIENCE - 1
    identifier = place.bury([1], at=old)
    place.duty.publish([identifier])
    place.client.delete("mailer.dead")
    place.duty.agree(time() + TIDY_EVERY + 1)
    place.duty.publish_late(time() + TIDY_EVERY + 2)
    assert place.shown() == [identifier]


@pytest.mark.parametrize("keep", [0, 3, 499, 500, 501, 1003])
def test_sifting_keeps_exactly_what_is_kept_in_order_at_any_page_boundary(place, keep):
    total = 1003
    kombu_free = [json.dumps({"headers": {"id": str(number)}}) for number in range(total)]
    place.client.lpush("mailer.dead", *kombu_free)
    kept = place.queue.sift(lambda ids: {one for one in ids if int(one) >= total - keep})
    assert len(kept) == keep
    assert place.shown() == [str(number) for number in range(total - keep, total)]


def test_on_other_brokers_sifting_turns_the_queue_and_keeps_its_order(place):
    app = Celery("elsewhere", set_as_current=False)
    app.config_from_object(defaults("memory://"))
    identifiers = [place.bury([number]) for number in range(5)]
    queue = DeadQueue(app)
    letters = [place.letters.get(identifier) for identifier in identifiers]
    assert list(queue.publish([*letters, letters[2]])) == [*identifiers, identifiers[2]]
    assert len(queue) == 6
    wanted = {identifiers[0], identifiers[2], identifiers[4]}
    assert queue.sift(lambda ids: wanted & set(ids)) == wanted
    assert len(queue) == 3
    with app.connection() as connection, connection.channel() as channel:
        found = [queue.queue(channel).get(no_ack=True) for _ in range(3)]
    assert [one.headers["id"] for one in found] == sorted(wanted)
    assert found[0].payload[1]["campaign"] == "spring"


# Looking.


def test_letters_are_found_by_reason_account_campaign_and_age(place):
    now = time()
    old = place.bury([1], at=now - 3600)
    place.bury([2], "uncertain", status=Status.UNCERTAIN)
    place.bury([3], account="second", campaign="news")

    def found(**which):
        return [letter.identifier for letter in place.office.find(Filter(**which), now)]

    assert found(reason="uncertain") == ["spring:2.1.rest"]
    assert found(account="second") == ["news:1.1.rest"]
    assert found(campaign="spring") == [old, "spring:2.1.rest"]
    assert found(older_than=60.0) == [old]
    assert found(newer_than=60.0, campaign="spring") == ["spring:2.1.rest"]
    assert len(place.office) == 3


def test_a_letter_shows_its_messages_headers_and_no_content(place):
    identifier = place.bury([1, 2])
    heads = list(place.office.heads(identifier))
    assert [head.forward_path for head in heads] == ["r1@example.org", "r2@example.org"]
    assert ("Subject", "Ärger") in heads[0].headers
    assert "secret" not in repr(heads)
    assert len(list(place.office.heads(identifier, limit=1))) == 1
    assert place.office.get(identifier).said == SAID


def test_the_heads_of_an_undecodable_letter_are_an_error_in_words(place):
    identifier = place.bury([1], "undecodable", payload=b"rubbish")
    with pytest.raises(PayloadError, match="not a mailer payload"):
        list(place.office.heads(identifier))


def test_a_letter_that_does_not_exist_is_an_error_that_says_where_to_look(place):
    with pytest.raises(InputError, match="mailer dead list"):
        place.office.get("nobody")


# Replaying.


def test_replaying_queues_every_letter_again_and_clears_the_queue(place):
    identifiers = [place.bury([1, 2]), place.bury([3])]
    place.duty.publish(identifiers)
    assert place.outcomes() == {"dead": 3}
    assert place.replay() == {"replayed": 2}
    assert place.outcomes() == {"queued": 3}
    assert place.shown() == []
    assert len(place.office) == 0
    assert [task["argsrepr"] for task in place.tasks()] == [
        "(spring, batch 3: 2 messages through primary)",
        "(spring, batch 4: 1 message through primary)",
    ]


def test_replaying_twice_or_from_two_places_replays_once(place):
    place.bury([1])
    letters = list(place.office.find(Filter(), time()))
    first = place.office.replay(letters)
    second = DeadLetterOffice(place.client, place.broker).replay(letters)
    assert [next(first).how, next(second).how] == ["replayed", "gone"]
    assert list(first) == list(second) == []
    assert place.outcomes() == {"queued": 1}
    assert len(place.tasks()) == 1


def test_a_replay_that_was_killed_goes_on_where_it_stopped(place):
    identifiers = [place.bury([number]) for number in range(4)]
    place.duty.publish(identifiers)
    replay = place.office.replay(list(place.office.find(Filter(), time())))
    next(replay)
    next(replay)
    replay.close()
    assert place.shown() == identifiers[2:]
    assert place.replay() == {"replayed": 2}
    assert place.outcomes() == {"queued": 4}


def test_a_batch_that_was_replayed_and_not_published_is_found_by_the_ledger(place):
    identifier = place.bury([1])
    place.letters.replay(identifier, time())  # and here the process is killed
    assert place.ledger.tasks([("bulk", "spring:2")]) == [("bulk", "spring:2", 1, "primary")]
    assert place.client.zcard("mailer:queued:bulk") == 1


def test_replaying_through_another_account_sends_through_that_one(place):
    place.bury([1])
    assert place.replay(account="second") == {"replayed": 1}
    claim = place.ledger.claim("spring:2", "me", time(), time() + 10)
    assert claim.account == "second"


def test_an_account_that_is_not_configured_is_refused_before_anything_moves(place):
    place.bury([1])
    with pytest.raises(ConfigError, match="no account 'secnod'; did you mean 'second'"):
        place.replay(account="secnod")
    assert place.outcomes() == {"dead": 1}


def test_letters_of_a_stopped_account_stay_unless_they_go_through_another(place):
    place.bury([1])
    place.breaker.refused("primary", "me", Refusal(Trouble.STOPS, "auth", SAID), time())
    assert place.replay() == {"stopped": 1}
    assert place.outcomes() == {"dead": 1}
    assert place.replay(account="second") == {"replayed": 1}


def test_replaying_in_another_name_changes_sender_and_envelope_and_nothing_else(place):
    place.bury([1, 2])
    assert place.replay(sender="Gull <other@shop.example>") == {"replayed": 1}
    claim = place.ledger.claim("spring:2", "me", time(), time() + 10)
    for number, entry in enumerate(decode(claim.payload), 1):
        expected = message(number, "Gull <other@shop.example>")
        assert entry.message.content == expected.content
        assert entry.message.reverse_path == "other@shop.example"
        assert entry.message.message_id == f"<{number}@shop.example>"


def test_a_sender_that_is_no_mailbox_is_refused_before_anything_moves(place):
    place.bury([1])
    with pytest.raises(InputError, match="sender"):
        place.replay(sender="nobody\r\nBcc: all")
    assert place.outcomes() == {"dead": 1}


def test_an_undecodable_letter_stays_when_its_sender_is_to_be_changed(place):
    place.bury([1], "undecodable", payload=b"rubbish")
    assert place.replay(sender="a@shop.example") == {"unreadable": 1}
    assert place.outcomes() == {"dead": 1}


def test_a_senders_name_beyond_ascii_is_an_encoded_word():
    (content,) = with_sender(message(1), "Möwe <a@shop.example>").content
    head = message_from_bytes(content, policy=default)
    assert head["From"].addresses[0].display_name == "Möwe"
    assert content.isascii()


def test_a_null_reverse_path_stays_null():
    from_nobody = Message("", "r@example.org", message(1).content, "<1@shop.example>")
    assert with_sender(from_nobody, "a@shop.example").reverse_path == ""


def test_letters_of_a_cancelled_campaign_stay(place):
    place.bury([1], "uncertain", status=Status.UNCERTAIN)
    place.bury([2], campaign="news")
    place.campaigns.set_state("spring", CANCELLED)
    assert place.replay() == {"cancelled": 1, "replayed": 1}
    assert place.outcomes() == {"uncertain": 1}
    assert [(one.campaign, one.messages) for one in place.office.groups(time())] == [("spring", 1)]
    assert place.purge() == {"dropped": 1}


# Purging.


def test_purging_drops_the_letters_and_counts_their_recipients(place):
    identifiers = [place.bury([1, 2]), place.bury([3], "uncertain", status=Status.UNCERTAIN)]
    place.duty.publish(identifiers)
    assert place.purge(Filter(reason="auth")) == {"dropped": 1}
    assert place.outcomes() == {"dropped": 2, "uncertain": 1}
    assert place.shown() == identifiers[1:]
    assert place.purge() == {"dropped": 1}
    assert place.outcomes() == {"dropped": 3}
    assert place.client.keys("mailer:dead*") == []


# What waits for a stopped account.


def wait(place, ref, due):
    claim = place.ledger.claim(ref, "me", time(), time() + 10)
    assert place.ledger.wait(claim, time(), due) == "waiting"


def test_batches_that_wait_for_a_later_try_are_queued_when_their_account_stops(place):
    first, second, third = place.batch([1]), place.batch([2]), place.batch([3], account="second")
    for ref in (first, second, third):
        wait(place, ref, time() + 3600)
    place.duty.condemn(time())
    assert place.tasks() == []
    place.breaker.refused("primary", "me", Refusal(Trouble.STOPS, "auth", SAID), time())
    place.duty.condemn(time())
    assert [task["argsrepr"].split(":")[0] for task in place.tasks()] == [
        "(spring, batch 1",
        "(spring, batch 2",
    ]


def test_batches_parked_while_the_account_cooled_are_queued_when_it_stops(place):
    ref = place.batch([1])
    claim = place.ledger.claim(ref, "me", time(), time() + 10)
    place.breaker.refused("primary", "me", Refusal(Trouble.COOLS, "auth_retry", SAID), time())
    assert place.ledger.park(claim, time(), "account:primary") == "parked"
    place.breaker.refused("primary", "me", Refusal(Trouble.STOPS, "auth", SAID), time())
    place.duty.condemn(time())
    assert len(place.tasks()) == 1


def test_what_waits_for_an_account_that_an_operator_stopped_goes_on_waiting(place):
    ref = place.batch([1])
    wait(place, ref, time() + 3600)
    place.breaker.stop("primary", OPERATOR, time())
    place.duty.condemn(time())
    assert place.tasks() == []


def test_a_campaign_that_has_not_started_is_left_to_its_time(place):
    place.campaigns.open(
        "later", digest="d", summary={}, policy=CampaignPolicy(), accept_changes=False, now=time()
    )
    ref = place.campaigns.next_batch("later")
    payload = encode([Entry(message(1), b"12345678")])
    fresh = [Fresh(b"12345678", 7)]
    place.ledger.enqueue(
        ref,
        run=1,
        queue="bulk",
        account="primary",
        payload=payload,
        recipients=fresh,
        now=time(),
        due=time() + 3600,
    )
    place.breaker.refused("primary", "me", Refusal(Trouble.STOPS, "auth", SAID), time())
    place.duty.condemn(time())
    assert place.tasks() == []


def test_a_task_in_its_own_words_names_no_recipient():
    assert Task("bulk", "spring:3", 1, "primary").sentence == (
        "(spring, batch 3: 1 message through primary)"
    )


@pytest.mark.parametrize("junk", ["fields", "text", "type"])
def test_a_letter_that_cannot_be_read_is_listed_as_such_and_stops_no_other(place, junk):
    old = time() - PATIENCE - 1
    broken, whole = place.bury([1], at=old), place.bury([2], at=old)
    key = f"mailer:dead:{broken}"
    if junk == "fields":
        place.client.hdel(key, "messages", "positions")
    elif junk == "text":
        place.client.hset(key, "account", b"\xff\xfe")
    else:
        place.client.delete(key)
        place.client.set(key, "?")

    found = {one.identifier: one for one in place.letters.find(Filter(), time())}
    assert found[whole].reason != "unreadable"
    assert found[broken].reason == "unreadable"
    assert "cannot be read" in found[broken].said.reply
    assert place.letters.get(broken).reason == "unreadable"
    place.duty.publish_late(time())
    assert whole in place.shown()
