"""A Celery task that does nothing: what Celery takes for each, whatever it is for."""

import os

from celery import Celery

app = Celery("empty_tasks", broker=os.environ["BENCH_REDIS"])
app.conf.update(task_ignore_result=True, task_acks_late=True, worker_prefetch_multiplier=1)


@app.task
def nothing(_ref: str) -> None:
    """Return."""
