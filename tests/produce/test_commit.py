"""Sending when SQLAlchemy's transaction is committed, in real databases."""

import asyncio

import pytest

import mailer
from mailer import send
from mailer.config import Settings
from mailer.errors import InputError

sqlalchemy = pytest.importorskip("sqlalchemy")


@pytest.fixture
def engine(tmp_path):
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'shop.sqlite3'}")
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("create table orders (number integer unique)"))
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine):
    from sqlalchemy.orm import Session  # noqa: PLC0415

    with Session(engine) as session:
        yield session


def insert(session, number):
    session.execute(sqlalchemy.text(f"insert into orders values ({number})"))


def orders(engine):
    """What somebody else sees in the database."""
    with engine.connect() as connection:
        found = connection.execute(sqlalchemy.text("select number from orders"))
        return sorted(number for (number,) in found)


def test_the_call_is_made_at_the_commit_when_others_see_the_rows_and_once(session, engine):
    made = []
    insert(session, 1)
    mailer.on_commit(lambda: made.append(orders(engine)), session=session)
    assert made == []
    session.commit()
    assert made == [[1]]
    insert(session, 2)
    session.commit()
    assert made == [[1]]


def test_a_rollback_takes_the_call_along(session, engine):
    made = []
    insert(session, 1)
    mailer.on_commit(lambda: made.append(1), session=session)
    session.rollback()
    insert(session, 2)
    session.commit()
    assert made == []
    assert orders(engine) == [2]


def test_a_commit_that_fails_makes_no_call(session, engine):
    """A constraint that the database checks at the commit itself."""
    with engine.begin() as connection:
        connection.execute(
            sqlalchemy.text(
                "create table lines (number integer references orders (number) "
                "deferrable initially deferred)"
            )
        )
    made = []
    session.execute(sqlalchemy.text("pragma foreign_keys = on"))
    session.commit()
    session.execute(sqlalchemy.text("insert into lines values (7)"))
    mailer.on_commit(lambda: made.append(1), session=session)
    with pytest.raises(sqlalchemy.exc.IntegrityError):
        session.commit()
    session.rollback()
    insert(session, 1)
    session.commit()
    assert made == []


def test_a_session_that_is_closed_without_a_commit_makes_no_call(engine):
    from sqlalchemy.orm import Session  # noqa: PLC0415

    made = []
    with Session(engine) as session:
        insert(session, 1)
        mailer.on_commit(lambda: made.append(1), session=session)
    assert made == orders(engine) == []


def test_a_savepoint_decides_about_its_own_calls_only(session, engine):
    made = []
    insert(session, 1)
    mailer.on_commit(lambda: made.append("outer"), session=session)
    with session.begin_nested():
        mailer.on_commit(lambda: made.append("kept"), session=session)
    assert made == []
    savepoint = session.begin_nested()
    mailer.on_commit(lambda: made.append("gone"), session=session)
    savepoint.rollback()
    session.commit()
    assert made == ["outer", "kept"]
    assert orders(engine) == [1]


def test_a_call_may_use_the_session_and_ask_for_another_call(session, engine):
    made = []

    def call():
        insert(session, 2)
        mailer.on_commit(lambda: made.append(orders(engine)), session=session)
        session.commit()

    insert(session, 1)
    mailer.on_commit(call, session=session)
    session.commit()
    assert made == [[1, 2]]


def test_a_call_that_fails_is_told_the_others_are_made_and_the_session_lives(session, engine):
    made = []
    insert(session, 1)
    mailer.on_commit({}.popitem, session=session)
    mailer.on_commit(lambda: made.append(1), session=session)
    with pytest.raises(KeyError):
        session.commit()
    assert made == orders(engine) == [1]
    insert(session, 2)
    session.commit()
    assert orders(engine) == [1, 2]


def test_an_async_session_too(tmp_path):
    pytest.importorskip("aiosqlite")
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine  # noqa: PLC0415

    made = []

    async def story():
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'async.sqlite3'}")
        async with AsyncSession(engine) as session:
            for number in (1, 2):
                await session.execute(sqlalchemy.text("select 1"))
                mailer.on_commit(lambda n=number: made.append(n), session=session)
                await (session.commit() if number == 2 else session.rollback())
        await engine.dispose()

    asyncio.run(story())
    assert made == [2]


def test_a_message_leaves_with_the_commit(session, redis_url, client, tmp_path):
    folder = tmp_path / "hello"
    folder.mkdir()
    (folder / "subject.txt").write_text("Hello")
    (folder / "body.txt").write_text("Hello")
    settings = Settings(redis=redis_url, templates=tmp_path, sender="news@shop.example")
    for number, end in ((1, session.rollback), (2, session.commit)):
        insert(session, number)
        mailer.on_commit(
            lambda n=number: send("hello", to=f"r{n}@example.org", settings=settings),
            session=session,
        )
        end()
    assert client.llen("mailer.priority") == 1


def test_without_a_transaction_that_can_be_told_it_is_refused():
    with pytest.raises(InputError, match="which transaction"):
        mailer.on_commit(lambda: None)
