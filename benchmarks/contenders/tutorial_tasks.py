"""The Celery mailer of the tutorials: a task a message, a connection a task, results stored.

Its templates are compiled and its keys read once in a process, which most of them do not care to do.
"""

import json
import os
import smtplib
import ssl
from email.message import EmailMessage
from functools import cache
from pathlib import Path

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
        if login := os.environ["BENCH_LOGIN"]:
            smtp.starttls(context=ssl.create_default_context())
            smtp.login(*login.split(":"))
        if keys := _keys():
            smtp.sendmail(message["From"], message["To"], _signed(message, keys))
        else:
            smtp.send_message(message)


@cache
def _keys() -> list[tuple[bytes, bytes]]:
    found = json.loads(os.environ["BENCH_KEYS"])
    return [(selector.encode(), Path(key).read_bytes()) for selector, key in found]


def _signed(message: EmailMessage, keys: list[tuple[bytes, bytes]]) -> bytes:
    """By RSA only: dkimpy wants Ed25519's keys in a form of its own."""
    import dkim  # noqa: PLC0415 - a mailer that signs nothing has none

    octets = message.as_bytes(policy=message.policy.clone(linesep="\r\n"))
    selector, key = keys[0]
    return dkim.sign(octets, selector, b"shop.example", key) + octets
