"""What is seen of a list while it is enqueued."""

import io

from rich.console import Console
from rich.progress import Progress

from mailer.cli.progress import ListBar


def _seen(progress):
    (task,) = progress.tasks
    return task.description, task.completed, task.total


def test_a_list_is_checked_and_then_queued_out_of_as_many():
    progress = Progress(console=Console(file=io.StringIO()))
    bar = ListBar(progress)
    assert _seen(progress) == ("reading", 0, None)
    bar.checked(500)
    bar.checked(200)
    assert _seen(progress) == ("checking", 700, None)
    bar.queued(500)
    assert _seen(progress) == ("queueing", 500, 700)
    bar.queued(200)
    assert _seen(progress) == ("queueing", 700, 700)


def test_a_list_that_is_not_checked_has_no_known_end():
    progress = Progress(console=Console(file=io.StringIO()))
    bar = ListBar(progress)
    bar.queued(500)
    assert _seen(progress) == ("queueing", 500, None)
