"""A Dovecot of the test's own: IMAP and POP3 on loopback, one mailbox, everything below one folder."""

import getpass
import grp
import os
import pwd
import shutil
import subprocess
from pathlib import Path

from tests.servers.waiting import listening

PASSWORD = "geheim"

_CONFIGURATION = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
listen = 127.0.0.1
protocols = imap pop3
ssl = no
disable_plaintext_auth = no
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {login}
default_vsz_limit = 0
first_valid_uid = 0
first_valid_gid = 0
mail_location = maildir:{folder}/Maildir
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}
}}
service imap-login {{
  {chroot}
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  {chroot}
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service anvil {{
  {chroot}
}}
service stats {{
  {chroot}
}}
"""


class Dovecot:
    """The server: *folder* holds ``Maildir``; close it at the end."""

    def __init__(self, folder: Path, port: int, pop3: int = 0, *, password: str = PASSWORD) -> None:
        self.maildir = folder / "Maildir"
        for inner in ("new", "cur", "tmp"):
            (self.maildir / inner).mkdir(parents=True)
        me, my_group = getpass.getuser(), grp.getgrgid(os.getgid()).gr_name
        uid, gid = os.getuid(), os.getgid()
        root = uid == 0
        if root:  # it insists on other users then, and they must get there
            mail = pwd.getpwnam("mail")
            uid, gid = mail.pw_uid, mail.pw_gid
            for place in (folder, *self.maildir.parent.rglob("*")):
                os.chown(place, uid, gid)
            folder.chmod(0o755)
        values = {
            "folder": folder,
            "user": "dovecot" if root else me,
            "group": "dovecot" if root else my_group,
            "login": "dovenull" if root else me,
            "chroot": "" if root else "chroot =",
            "uid": uid,
            "gid": gid,
            "port": port,
            "pop3": pop3,
            "password": password,
        }
        (folder / "dovecot.conf").write_text(_CONFIGURATION.format(**values))
        program = shutil.which("dovecot", path=f"{os.environ['PATH']}:/usr/sbin")
        assert program
        self._process = subprocess.Popen([program, "-F", "-c", folder / "dovecot.conf"])
        listening(port)

    def deliver(self, name: str, octets: bytes) -> None:
        """Put a message into the mailbox."""
        (self.maildir / "tmp" / name).write_bytes(octets)
        (self.maildir / "tmp" / name).chmod(0o644)
        (self.maildir / "tmp" / name).rename(self.maildir / "new" / name)

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(120)
