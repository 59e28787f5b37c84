"""Django's mail through mailer: `EmailBackend`, `on_commit`, and ``manage.py mailer``.

```python
MAILERS = {"default": {"BACKEND": "mailer.django.EmailBackend"}}  # before Django 6.1: EMAIL_BACKEND
INSTALLED_APPS = [..., "mailer.django"]                         # for the command
MAILER = {"redis": "redis://localhost:6379/0", "templates": BASE_DIR / "templates/mail"}
```
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailer.django.backend import EmailBackend

__all__ = ["EmailBackend"]

if not TYPE_CHECKING:
    # Django imports this package for its app, before its settings may be asked for everything.
    def __getattr__(name: str) -> object:
        if name != "EmailBackend":
            raise AttributeError(f"module 'mailer.django' has no attribute {name!r}")
        return getattr(import_module("mailer.django.backend"), name)
