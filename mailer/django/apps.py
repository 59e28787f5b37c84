"""The Django application: it has a command and no models."""

from django.apps import AppConfig


class MailerConfig(AppConfig):  # type: ignore[misc] # Django is untyped
    """``INSTALLED_APPS = [..., "mailer.django"]``."""

    name = "mailer.django"
    label = "celery_mailer"  # "mailer" is django-mailer's
    verbose_name = "Mailer"
