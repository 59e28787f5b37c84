"""How one machine does it alone: an embedded Redis server and a worker of its own.

`Folder` is a place on disk that keeps the embedded server's data. Whoever needs the server
*enters* it; the first starts the server, the last one out stops it. Nothing survives its users: a
guard process (`mailer.local.guard`) ends server and worker even when their user is killed.
"""

from mailer.local.folder import DEFAULT_FOLDER, Folder
from mailer.local.worker import LocalWorker

__all__ = ["DEFAULT_FOLDER", "Folder", "LocalWorker"]
