"""Which accounts and settings are there: `mailer.toml`, laid under the environment, validated.

The only door to the environment. `load` gives one frozen `Settings` or raises one `ConfigError`
that names every fault at once. Secrets are not part of it: an account knows only *where* its
password is (`password_env`, `password_file`, `password_command`) and reads it when it logs in.
"""

from mailer.config.account import Account, Dkim, Security, Timeouts
from mailer.config.current import configure, configured, current, forget, given
from mailer.config.feedback import Unsubscribe
from mailer.config.loading import load, names_a_file
from mailer.config.secrets import Secret
from mailer.config.settings import Alerts, Domain, RetryTable, Settings, Worker
from mailer.config.units import Rate, duration
from mailer.config.web import Role, User, Web

__all__ = [  # noqa: RUF022 - grouped: it doubles as a table of contents
    # The whole, and how to get it
    "Settings",
    "load",
    "configure",
    "configured",
    "current",
    "forget",
    "given",
    "names_a_file",
    # Its parts
    "Account",
    "Alerts",
    "Dkim",
    "Domain",
    "RetryTable",
    "Security",
    "Timeouts",
    "Role",
    "Unsubscribe",
    "User",
    "Web",
    "Worker",
    # Values
    "Rate",
    "Secret",
    "duration",
]
