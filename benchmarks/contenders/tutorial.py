"""The Celery mailer of the tutorials, as producer: a task for each message."""

import letters
from orders import serve
from tutorial_tasks import app, send_email


def enqueue(kind: str, count: int, run: str) -> int:
    for row in letters.rows(count, run):
        send_email.delay(kind, row)
    return count


def is_up() -> bool:
    return bool(app.control.ping(limit=1, timeout=1))


serve(enqueue=enqueue, is_up=is_up)
