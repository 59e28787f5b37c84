"""`celery -A mailer worker` as most tests start it: without the rest of Celery's command line.

That loads a shell, a REPL and Flower, none of which a worker uses: a quarter of a second of each start.
The command as people type it is started by the tests of the examples, the documents, the compose file,
and of Celery beside Celery.
"""

import sys

_START = """
import sys

from celery.app.utils import find_app
from celery.bin.base import CLIContext
from celery.bin.worker import worker

context = CLIContext(app=find_app("mailer"), no_color=None, workdir=None)
worker.main(sys.argv[1:], prog_name="celery worker", obj=context, auto_envvar_prefix="CELERY_WORKER")
"""

WORKER = (sys.executable, "-c", _START)
"""What stands for ``celery -A mailer worker``; its options follow."""
