"""Commands that are run in a folder of their own, as the tests of the command line do."""

from tests.cli.conftest import mailer, place

__all__ = ["mailer", "place"]
