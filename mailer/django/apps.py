"""The Django application: a command, and the project's ``MAILER`` for all that is sent; no models."""

from django.apps import AppConfig


class MailerConfig(AppConfig):  # type: ignore[misc] # Django is untyped
    """``INSTALLED_APPS = [..., "mailer.django"]``."""

    name = "mailer.django"
    label = "celery_mailer"  # "mailer" is django-mailer's
    verbose_name = "Mailer"

    def ready(self) -> None:
        """Have `mailer.send` and all else find the project's settings."""
        from mailer.config.current import ask  # noqa: PLC0415 - Django loads this module before its settings
        from mailer.django.configuration import configured  # noqa: PLC0415

        ask(configured)
