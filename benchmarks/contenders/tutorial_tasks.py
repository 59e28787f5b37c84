"""The Celery mailer of the tutorials: a task a message, a connection a task, results stored.

Its templates are compiled once in a process, which most of them do not care to do.
"""

import os
import smtplib
from functools import cache

from celery import Celery
from letters import PlainComposer

_REDIS = os.environ["BENCH_REDIS"]
app = Celery("tutorial_tasks", broker=_REDIS, backend=_REDIS)
composer = cache(PlainComposer)


@app.task
def send_email(kind: str, row: dict[str, str]) -> None:
    message = composer(kind).compose(row)
    host, port = os.environ["BENCH_SMTP"].rsplit(":", 1)
    with smtplib.SMTP(host, int(port)) as smtp:
        smtp.send_message(message)
