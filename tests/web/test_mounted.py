"""The page in an application of one's own, and what scanners, providers and curl make of it."""

import asyncio
import re
import shutil
import subprocess

import httpx
import pytest
from django.conf import settings as django_settings
from django.core.asgi import get_asgi_application
from django.http import HttpResponse
from django.urls import path
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from mailer.compose.unsubscribe import TokenSigner
from mailer.config import Settings
from mailer.mail.barring.scopes import BULK
from mailer.mail.recipients import fingerprint
from mailer.store.suppression import Suppression
from mailer.web.application import application

ADA = "ada@example.org"


@pytest.fixture
def settings(redis_url, monkeypatch):
    monkeypatch.setenv("KEY", "secret")
    return Settings.model_validate({"redis": redis_url, "unsubscribe": {"secret_env": "KEY"}})


@pytest.fixture
def link():
    return f"/u/{TokenSigner('secret').token(ADA, 'spring', 'news.shop.example')}"


def is_off(client, mail="news.shop.example"):
    return Suppression(client).among([fingerprint(ADA)], mail)[0]


async def hello(_request):
    return PlainTextResponse("hello")


def asking(app):
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="https://shop.example"
    )


def in_starlette(ours):
    return Starlette(routes=[Route("/", hello), Mount("/mail", ours), Route("/u/x", hello)])


def in_fastapi(ours):
    app = FastAPI()
    app.get("/", response_class=PlainTextResponse)(lambda: "hello")
    app.mount("/mail", ours)
    return app


def in_django(ours):
    """An asgi.py in which Django has all the rest."""
    if not django_settings.configured:
        django_settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__)
    site = get_asgi_application()
    return Starlette(routes=[Mount("/mail", ours), Mount("/", site)])


urlpatterns = [path("", lambda _request: HttpResponse("hello"))]


@pytest.mark.parametrize("inside", [in_starlette, in_fastapi, in_django])
def test_it_works_under_a_path_of_ones_own_application(settings, client, link, inside):
    app = inside(application(settings))

    async def visit():
        async with asking(app) as visitor:
            assert (await visitor.get("/")).text == "hello"
            page = await visitor.get(f"/mail{link}")
            style = re.search(r'href="(style\.css)"', page.text)[1]
            assert (await visitor.get(f"/mail/u/{style}")).status_code == 200
            assert "news.shop.example" in page.text
            assert not is_off(client)
            done = await visitor.post(f"/mail{link}", data={"List-Unsubscribe": "One-Click"})
            assert (done.status_code, done.text) == (200, "unsubscribed\n")

    asyncio.run(visit())
    assert is_off(client)
    assert not is_off(client, BULK)


def test_both_buttons_and_their_undo(settings, client, link):
    async def visit():
        async with asking(application(settings)) as visitor:
            page = await visitor.post(link, data={"do": "leave-all"})
            assert "all our lists" in page.text
            assert is_off(client, BULK)
            await visitor.post(link, data={"do": "undo"})
            assert not is_off(client, BULK)
            assert not is_off(client)

    asyncio.run(visit())


def test_a_scanner_that_looks_a_thousand_times_changes_nothing(settings, client, link):
    async def visit():
        async with asking(application(settings)) as visitor:
            for number in range(1000):
                method = ("GET", "HEAD", "OPTIONS")[number % 3]
                await visitor.request(method, link)

    asyncio.run(visit())
    assert not is_off(client)
    assert client.exists("mailer:suppressed") == 0


@pytest.mark.skipif(shutil.which("curl") is None, reason="wants curl")
@pytest.mark.parametrize(
    "options",
    [
        ("--data", "List-Unsubscribe=One-Click"),
        ("--form", "List-Unsubscribe=One-Click"),
        ("--request", "POST"),
    ],
    ids=["urlencoded", "multipart", "no body"],
)
def test_curl_as_a_provider(served, client, link, options):
    url = f"http://127.0.0.1:{served.port}{link}"
    looked = subprocess.run(["curl", "--silent", "--max-time", "20", url], check=True, timeout=120)
    assert looked.returncode == 0
    assert not is_off(client)
    done = subprocess.run(
        ["curl", "--silent", "--fail", "--max-time", "20", "--dump-header", "-", *options, url],
        check=True,
        timeout=120,
        capture_output=True,
        text=True,
    )
    assert done.stdout.endswith("unsubscribed\n")
    assert " 200 " in done.stdout.splitlines()[0]
    assert "location:" not in done.stdout.lower()
    assert "set-cookie" not in done.stdout.lower()
    assert is_off(client)
