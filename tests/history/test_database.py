"""The history in SQLite and in PostgreSQL: the same answers from both."""

import logging
from contextlib import closing
from itertools import permutations

import pytest
from alembic import command
from sqlalchemy import event, inspect

from mailer.errors import ConfigError, HistoryUnavailableError
from mailer.history import open_history, reading, upgrade
from mailer.history.schema import metadata
from mailer.history.upgrade import _config, newest
from mailer.mail.event import Event, moved
from mailer.mail.recipients import fingerprint

MARCH, APRIL = 1_772_400_000.0, 1_775_080_000.0


def queued(position, mailbox, campaign="spring", at=MARCH):
    row = f'{{"email": "{mailbox}", "city": "Köln"}}'
    message_id = f"<{campaign}.{position}@shop.example>"
    return Event(
        campaign, position, "queued", at, 1,
        account="primary", mailbox=mailbox, message_id=message_id, row=row, order=1,
    )  # fmt: skip


def tried(before, outcome, order, **more):
    at = before.at + order
    return before._replace(
        outcome=outcome, row="", at=at, fence=1, attempt=order - 1, order=order, **more
    )


def test_the_newest_outcome_stands_and_what_only_older_events_know_stays(history):
    ada = queued(0, "ada@example.org")
    history.write([ada, tried(ada, "deferred", 2, code=451, reply="451 4.7.1 greylisted")])
    history.write([tried(ada, "accepted", 3, code=250, reply="250 2.0.0 queued as 4B1C")])

    (found,) = history.trace("ada@example.org")

    assert (found.outcome, found.reply) == ("accepted", "250 2.0.0 queued as 4B1C")
    assert found.row == {"email": "ada@example.org", "city": "Köln"}
    assert [step.outcome for step in found.steps] == ["deferred", "accepted"]


def test_events_that_are_read_again_change_nothing(history):
    ada = queued(0, "ada@example.org")
    events = [ada, tried(ada, "deferred", 2), tried(ada, "accepted", 3)]
    history.write(events)
    before = history.trace("ada@example.org")

    for again in (events, events[:2], events[:1], events[1:2]):
        history.write(again)

    assert history.trace("ada@example.org") == before


def test_any_cut_of_the_stream_with_any_repeats_ends_the_same(history, chance):
    people = [queued(n, f"p{n}@example.org") for n in range(20)]
    stream = [*people]
    for order in (2, 3):
        words = ["deferred", "accepted", "rejected"]
        stream += [tried(one, chance.choice(words), order) for one in people]
    at = 0
    while at < len(stream):
        size = chance.randrange(1, 15)
        history.write(stream[at : at + size])
        at += size - chance.randrange(0, size)

    ends = {one.position: one.outcome for one in stream}
    assert {one.position: one.outcome for one in history.export("spring")} == ends
    assert sum(history.counts("spring").values()) == 20


def test_two_spellings_are_one_person_and_a_message_id_finds_its_message(history):
    history.write([queued(0, "Ada@Example.org"), queued(1, "bob@example.org")])

    assert history.trace("ada@example.org")[0].position == 0
    assert [one.mailbox for one in history.trace("<spring.1@shop.example>")] == ["bob@example.org"]
    assert history.trace("eve@example.org") == []


def test_who_got_a_hundred_campaigns_over_the_years_is_found_by_two_questions(history):
    events = []
    for number in range(100):
        hers = queued(1, "ada@example.org", f"c{number}", MARCH + number * 20 * 86400)
        others = queued(0, f"p{number}@example.org", f"c{number}", hers.at)
        events += [others, tried(others, "rejected", 2), hers, tried(hers, "deferred", 2)]
        events += [tried(hers, "accepted", 3), tried(hers, "bounced", 4 + number % 3)]
    history.write(events)
    asked = []
    event.listen(
        history._engine, "before_cursor_execute", lambda *told: asked.append((told[2], told[3]))
    )

    found = history.trace("ada@example.org")

    assert [one.campaign for one in found] == [f"c{number}" for number in reversed(range(100))]
    assert {tuple(step.outcome for step in one.steps) for one in found} == {
        ("deferred", "accepted", "bounced")
    }
    assert sum("FROM" in text for text, _ in asked) == 2
    if history.is_postgresql:
        with history._engine.begin() as connection:
            text, values = asked[-1]
            plan = connection.exec_driver_sql(f"EXPLAIN {text}", values).scalars().all()
        assert not any("Seq Scan" in line for line in plan)  # never analysed


def test_an_export_is_in_the_order_of_the_list_and_can_be_of_one_outcome(history):
    people = [queued(n, f"p{n}@example.org") for n in (2, 0, 1)]
    history.write([*people, tried(people[0], "rejected", 2)])

    assert [one.position for one in history.export("spring")] == [0, 1, 2]
    assert [one.position for one in history.export("spring", ["rejected"])] == [2]


def test_what_comes_back_later_stands_beside_the_outcome(history):
    ada = queued(0, "ada@example.org")
    history.write([ada, tried(ada, "accepted", 2, reply="250 ok")])
    history.write([tried(ada, "bounced", 3, reply="550 no such user")])

    (found,) = history.trace("ada@example.org")

    assert (found.outcome, found.later, found.reply) == ("accepted", "bounced", "250 ok")
    assert [step.outcome for step in found.steps] == ["accepted", "bounced"]


@pytest.mark.parametrize("words", list(permutations(["delayed", "bounced", "complained"])))
def test_of_what_came_back_the_weightiest_stands_in_whatever_order_it_came(history, words):
    ada = queued(0, "ada@example.org")
    history.write([ada, tried(ada, "accepted", 2, reply="250 ok")])
    together, alone = words[:2], words[2]
    history.write([tried(ada, word, 3 + n) for n, word in enumerate(together)])
    history.write([tried(ada, alone, 6)])

    (found,) = history.trace("ada@example.org")

    assert (found.outcome, found.later) == ("accepted", "complained")
    assert [step.outcome for step in found.steps] == ["accepted", *words]


@pytest.mark.parametrize("together", [True, False])
def test_of_leaving_and_coming_back_the_newest_stands(history, together):
    ada = queued(0, "ada@example.org")
    events = [ada, tried(ada, "accepted", 2)]
    words = ["unsubscribed", "resubscribed", "unsubscribed", "resubscribed"]
    events += [tried(ada, word, 3 + n) for n, word in enumerate(words)]
    for chunk in [events] if together else [[one] for one in events]:
        history.write(chunk)
    history.write(events[2:4])  # read again

    (found,) = history.trace("ada@example.org")

    assert (found.outcome, found.later) == ("accepted", "resubscribed")
    assert [step.outcome for step in found.steps] == ["accepted", *words]
    history.write([tried(ada, "complained", 9), tried(ada, "resubscribed", 10)])
    assert history.trace("ada@example.org")[0].later == "complained"


def test_a_bounce_that_names_no_mailbox_is_found_by_its_recipient_and_says_why(history):
    back = Event(
        "old", -7, "bounced", MARCH, key=fingerprint("ada@example.org"), order=9,
        reason="mailbox_unknown", permanent=True, reply="5.1.1 no such user",
    )  # fmt: skip
    history.write([back])
    history.write([back])

    (found,) = history.trace("ada@example.org")

    assert (found.outcome, found.later) == ("", "bounced")
    (step,) = found.steps
    assert (step.reason, step.permanent) == ("mailbox_unknown", True)


def test_tables_of_the_first_version_are_brought_to_this_one_with_all_that_is_in_them(history):
    ada = queued(0, "ada@example.org")
    history.write([ada, tried(ada, "accepted", 2)])
    with history._engine.begin() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    old = open_history(history._engine.url.render_as_string(hide_password=False))
    with pytest.raises(HistoryUnavailableError, match="mailer history upgrade"):
        old.write([tried(ada, "bounced", 3)])

    old.upgrade()
    old.write([tried(ada, "bounced", 3)])

    assert [step.outcome for step in old.trace("ada@example.org")[0].steps] == [
        "accepted",
        "bounced",
    ]
    old.close()


def test_tables_of_a_newer_version_are_left_alone_in_words(history):
    with history._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    late = open_history(history._engine.url.render_as_string(hide_password=False))

    for what in (lambda: late.write([queued(0, "ada@example.org")]), late.upgrade):
        with pytest.raises(HistoryUnavailableError, match="step 9999, which a newer version made"):
            what()
    late.close()


def test_recipients_that_a_script_moved_keep_their_mailbox(history):
    history.write([queued(0, "ada@example.org"), queued(1, "bob@example.org")])
    history.write(moved("spring", "x", [1], MARCH + 5, 7))

    assert history.counts("spring") == {"queued": 1, "cancelled": 1}
    assert history.trace("bob@example.org")[0].outcome == "cancelled"


def test_a_reply_with_nul_can_be_stored(history):
    ada = queued(0, "ada@example.org")
    history.write([ada, tried(ada, "rejected", 2, reply="550 \0 no")])

    assert history.trace("ada@example.org")[0].reply == "550  no"


def test_what_is_old_goes(history):
    old, new = (
        queued(0, "ada@example.org", "spring", MARCH),
        queued(0, "ada@example.org", "may", APRIL),
    )
    history.write([old, tried(old, "accepted", 2), new, tried(new, "accepted", 2)])

    assert history.drop_before(APRIL) == 1

    assert [one.campaign for one in history.trace("ada@example.org")] == ["may"]
    assert history.counts("spring") == {}


def test_a_campaign_can_be_forgotten_and_written_again(history):
    history.write([queued(0, "ada@example.org"), queued(0, "ada@example.org", "may")])

    assert history.forget("spring") == 1
    history.write([queued(0, "bob@example.org")])

    assert [one.campaign for one in history.trace("ada@example.org")] == ["may"]
    assert history.trace("bob@example.org")[0].campaign == "spring"


def test_a_person_can_be_erased_from_all_campaigns(history):
    ada = queued(0, "ada@example.org")
    history.write([ada, tried(ada, "accepted", 2), queued(0, "ADA@example.org", "may")])
    history.write([queued(1, "bob@example.org")])

    assert history.erase("ada@example.org") == 2

    assert history.trace("ada@example.org") == []
    assert history.counts("spring") == {"queued": 1}


def test_the_migrations_make_the_tables_that_the_schema_shows(history):
    with history._engine.connect() as connection:
        found = inspect(connection)
        for table in metadata.sorted_tables:
            columns = {column["name"]: column for column in found.get_columns(table.name)}
            assert set(columns) == set(table.columns.keys())
            key = found.get_pk_constraint(table.name)["constrained_columns"]
            assert set(key) == {column.name for column in table.primary_key}
            indexes = {index["name"] for index in found.get_indexes(table.name)}
            assert {str(index.name) for index in table.indexes} <= indexes


def test_to_upgrade_twice_changes_nothing(history):
    assert history.upgrade() == history.upgrade() == newest()


def test_the_log_says_once_that_the_tables_changed_and_nothing_of_alembic(tmp_path, caplog):
    caplog.set_level("INFO")
    for _ in range(2):
        with closing(open_history(f"sqlite:///{tmp_path}/new.sqlite")) as history:
            history.upgrade()
            history.write([queued(0, "ada@example.org")])
    (said,) = caplog.messages
    assert said == f"history: its tables are at step {newest()} now"
    logging.getLogger("alembic.runtime.migration").info("another's")
    assert "another's" in caplog.text


def test_a_database_without_tables_says_what_to_do(tmp_path):
    with (
        closing(open_history(f"sqlite:///{tmp_path}/new.sqlite")) as history,
        pytest.raises(HistoryUnavailableError, match="mailer history upgrade"),
    ):
        history.counts("spring")


@pytest.mark.postgresql
def test_a_server_that_goes_away_and_comes_back_loses_nothing(postgres_server, postgres_url):
    history = open_history(postgres_url)
    history.upgrade()
    ada = queued(0, "ada@example.org")
    history.write([ada])
    postgres_server.stop()
    try:
        with pytest.raises(HistoryUnavailableError, match="cannot be used"):
            history.write([tried(ada, "accepted", 2)])
    finally:
        postgres_server.start()

    history.write([tried(ada, "accepted", 2)])

    assert history.counts("spring") == {"accepted": 1}
    history.close()


@pytest.mark.parametrize("url", ["mysql://h/d", "nonsense", "oracle://x"])
def test_another_database_is_refused_in_words(url):
    with pytest.raises(ConfigError, match=r"history\.url: must be sqlite"):
        open_history(url)


@pytest.mark.postgresql
def test_a_question_to_a_server_opens_no_transaction(postgres_url, monkeypatch):
    """BEGIN and COMMIT would be two of five round trips, and each waits for a busy processor."""
    seen, trace = [], reading.trace

    def looked(connection, what):
        found = trace(connection, what)
        seen.append(connection.connection.driver_connection.info.transaction_status.name)
        return found

    monkeypatch.setattr(reading, "trace", looked)
    with closing(open_history(postgres_url)) as history:
        history.upgrade()
        history.write([queued(n, f"r{n}@example.org") for n in range(3)])
        assert history.trace("r1@example.org")
        assert len(list(history.export("spring"))) == 3

    assert seen == ["IDLE"]


def test_the_steps_are_read_once_in_a_process(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path}/h.sqlite"
    with closing(open_history(url)) as history:
        history.upgrade()
        history.counts("spring")
    monkeypatch.setattr(upgrade, "ScriptDirectory", None)
    with closing(open_history(url)) as history:
        assert history.counts("spring") == {}
