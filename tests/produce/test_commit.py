"""Sending when SQLAlchemy's transaction is committed."""

import pytest

import mailer
from mailer.errors import InputError

sqlalchemy = pytest.importorskip("sqlalchemy")


@pytest.fixture
def session():
    from sqlalchemy.orm import Session  # noqa: PLC0415

    engine = sqlalchemy.create_engine("sqlite://")
    with Session(engine) as session:
        yield session
    engine.dispose()


def test_the_call_is_made_at_the_commit_and_once(session):
    made = []
    session.execute(sqlalchemy.text("select 1"))
    mailer.on_commit(lambda: made.append(1), session=session)
    assert made == []
    session.commit()
    assert made == [1]
    session.execute(sqlalchemy.text("select 1"))
    session.commit()
    assert made == [1]


def test_a_rollback_takes_the_call_along(session):
    made = []
    session.execute(sqlalchemy.text("select 1"))
    mailer.on_commit(lambda: made.append(1), session=session)
    session.rollback()
    session.execute(sqlalchemy.text("select 1"))
    session.commit()
    assert made == []


def test_a_savepoint_decides_about_its_own_calls_only(session):
    made = []
    session.execute(sqlalchemy.text("select 1"))
    mailer.on_commit(lambda: made.append("outer"), session=session)
    with session.begin_nested():
        mailer.on_commit(lambda: made.append("kept"), session=session)
    assert made == []
    savepoint = session.begin_nested()
    mailer.on_commit(lambda: made.append("gone"), session=session)
    savepoint.rollback()
    session.commit()
    assert made == ["outer", "kept"]


def test_without_a_transaction_that_can_be_told_it_is_refused():
    with pytest.raises(InputError, match="which transaction"):
        mailer.on_commit(lambda: None)
