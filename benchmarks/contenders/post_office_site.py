"""Settings of the Django project that sends with django-post_office."""

import json
import os
import sys
from pathlib import Path

_SETUP = json.loads(sys.argv[1])

SECRET_KEY = "for a benchmark"
INSTALLED_APPS = ["django.contrib.contenttypes", "post_office"]
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": Path(os.environ["BENCH_FOLDER"]) / "post_office.sqlite3",
        "OPTIONS": {"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"},
    }
}
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]
EMAIL_BACKEND = "post_office.EmailBackend"
EMAIL_HOST, EMAIL_PORT = _SETUP["host"], _SETUP["port"]
if "user" in _SETUP:
    EMAIL_USE_TLS, EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = True, _SETUP["user"], _SETUP["password"]
MEDIA_ROOT = os.environ["BENCH_FOLDER"]
POST_OFFICE = {
    "BACKENDS": {"default": "django.core.mail.backends.smtp.EmailBackend"},
    "BATCH_SIZE": 1000,  # ten times its default, which would fork two processes for each 100 mails
    "THREADS_PER_PROCESS": max(1, _SETUP["connections"] // 2),
}
