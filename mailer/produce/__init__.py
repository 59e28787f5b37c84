"""What goes to whom: from rows and templates to queued messages, by one producer a process."""

from mailer.config import forget as _forget_settings


def reload() -> None:
    """Have configuration and templates read again at their next use; connections are kept.

    Settings that were given to `mailer.configure` stay.
    """
    from mailer.produce import composers  # noqa: PLC0415 - only who composes loads templates

    _forget_settings()
    composers.forget()
