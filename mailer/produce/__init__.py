"""What goes to whom: from rows and templates to queued messages, by one producer a process."""

from mailer.config import forget as _forget_settings


def reload() -> None:
    """Read configuration and templates again, at their next use; connections are kept.

    Settings that `mailer.configure` was given stay.
    """
    from mailer.produce import composers  # noqa: PLC0415 - only who composes loads templates

    _forget_settings()
    composers.forget()
