"""``manage.py mailer …``: the command line with the project's own settings."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from mailer.django.configuration import settings


class Command(BaseCommand):  # type: ignore[misc] # Django is untyped
    """Hands all its words to the command line of `mailer`."""

    help = "mailer with the project's settings: manage.py mailer status, mailer failures NAME, …"
    requires_system_checks = ()

    def run_from_argv(self, argv: list[str]) -> None:
        """Run what follows ``manage.py mailer``; its options are not Django's."""
        from mailer.cli import main  # noqa: PLC0415 - the command line loads much
        from mailer.config import configured  # noqa: PLC0415

        with configured(settings()):
            main(argv[2:])

    def handle(self, *words: Any, **_options: Any) -> None:
        """As `run_from_argv`, for `call_command`."""
        self.run_from_argv([sys.argv[0], "mailer", *map(str, words)])
