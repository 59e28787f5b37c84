"""Django's settings of the example."""

import os
from pathlib import Path

import django

BASE_DIR = Path(__file__).parents[1]
SECRET_KEY = "an example's"
DEBUG = True
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = ["shop", "mailer.django"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "shop.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True

if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": "mailer.django.EmailBackend"}}
else:
    EMAIL_BACKEND = "mailer.django.EmailBackend"
DEFAULT_FROM_EMAIL = "Shop <news@shop.example>"
MAILER = {
    "redis": os.environ.get("SHOP_REDIS", "redis://localhost:6379/0"),
    "templates": BASE_DIR / "mail",
}
