"""Sending once the database's transaction is committed, and not at all if it is rolled back.

A message that is queued inside a transaction may leave before others can see its rows, or although they
never will.
"""

import sys
from collections.abc import Callable
from typing import Any, Final

from mailer.errors import InputError

Call = Callable[[], object]

_PENDING: Final = "mailer.on_commit"
_DUE: Final = "mailer.on_commit.due"


def on_commit(call: Call, *, session: Any = None, using: str | None = None) -> None:
    """Call *call* as soon as the transaction that is open now is committed; not at all if it is not.

    In a Django project it is the transaction of the database *using*; without an open one the call is
    made at once, as `django.db.transaction.on_commit` does. For SQLAlchemy pass *session*, a `Session` or
    an `AsyncSession`; the call may use it. What a call raises comes out of the commit, which holds
    nevertheless. With SQLAlchemy the other calls are made before that; Django makes none after it.

    A crash between the commit and the call loses the call. What must not be lost is sent by a task that
    looks at the rows, with a `key=`. Raises `InputError` where it is not known which transaction is
    meant.
    """
    if session is not None:
        _with_sqlalchemy(getattr(session, "sync_session", session), call)
    elif _in_django():
        from django.db import transaction  # noqa: PLC0415 - only in a Django project

        transaction.on_commit(call, using=using)
    else:
        raise InputError("on_commit: which transaction? Pass session= (SQLAlchemy), or use Django")


def _in_django() -> bool:
    """Whether this is a Django project; nothing of Django is loaded to learn it."""
    conf = sys.modules.get("django.conf")
    return conf is not None and bool(conf.settings.configured)


def _with_sqlalchemy(session: Any, call: Call) -> None:
    """Note *call* with the innermost transaction: a savepoint that is rolled back drops its calls."""
    if _PENDING not in session.info:
        from sqlalchemy import event  # noqa: PLC0415 - only where it is used

        session.info[_PENDING], session.info[_DUE] = [], []
        event.listen(session, "after_commit", _committed)
        event.listen(session, "after_soft_rollback", _rolled_back)
        event.listen(session, "after_transaction_end", _ended)
    where = session.get_nested_transaction() or session.get_transaction()
    session.info[_PENDING].append((where, call))


def _committed(session: Any) -> None:
    if session.in_nested_transaction():
        return  # a savepoint was released: the transaction goes on
    pending, session.info[_PENDING] = session.info[_PENDING], []
    session.info[_DUE] += [call for _, call in pending]


def _ended(session: Any, _transaction: Any) -> None:
    """Make the calls. Not earlier: only after the end of the transaction can they use the session."""
    due, session.info[_DUE] = session.info[_DUE], []
    raised = []
    for call in due:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - the first is raised once all calls were made
            raised.append(error)
    if raised:
        raise raised[0]


def _rolled_back(session: Any, gone: Any) -> None:
    kept = [(where, call) for where, call in session.info[_PENDING] if not _within(where, gone)]
    session.info[_PENDING] = kept


def _within(where: Any, gone: Any) -> bool:
    """Whether the transaction *where* is *gone*, or lies within it."""
    while where is not None:
        if where is gone:
            return True
        where = where.parent
    return False
