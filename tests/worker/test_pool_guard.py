"""A child whose last results nobody reads ends with its worker, and not half a minute later."""

import subprocess
import sys

import pytest

CHILD = """
import sys
from billiard import SimpleQueue, Value
from billiard.pool import Worker
from mailer.worker.pool_guard import end_soon

stopping, read, completed = sys.argv[1] == "stopping", int(sys.argv[2]), int(sys.argv[3])
end_soon(lambda: stopping)
child = Worker(SimpleQueue(), SimpleQueue(), on_ready_counter=Value("i", read))
print(child._ensure_messages_consumed(completed=completed))
"""


@pytest.mark.parametrize(
    ("state", "read", "completed", "said"),
    [("stopping", 1, 2, "False"), ("stopping", 2, 2, "True"), ("working", 2, 2, "True")],
)
def test_a_child_of_a_stopping_worker_waits_a_moment_for_its_results_to_be_read(
    state, read, completed, said
):
    words = [sys.executable, "-c", CHILD, state, str(read), str(completed)]
    # billiard's own wait takes thirty seconds.
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=25)
    assert done.stdout.strip() == said
