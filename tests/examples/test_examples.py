"""Each example is run as a project: a web server, a worker, a mail server; a request becomes a mail."""

import sqlite3
from contextlib import contextmanager

import httpx
import pytest

from tests.conftest import free_port
from tests.servers.project import EXAMPLES, Project
from tests.servers.scripted import ScriptedServer
from tests.servers.waiting import eventually

pytestmark = pytest.mark.timeout(600)

ADA = {"email": "ada@example.org", "name": "Ada"}


@pytest.fixture
def server():
    with ScriptedServer() as keeping:
        yield keeping


@pytest.fixture
def project(tmp_path, redis_url, server):
    made = []

    def begin(name):
        made.append(Project(name, tmp_path / name, redis_url, server.port))
        return made[-1]

    yield begin
    for one in made:
        one.stop()


@contextmanager
def served(project, *words):
    """A client of the project's web server."""
    port = str(free_port())
    project.begin("web", *(word.replace("PORT", port) for word in words))
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False)

    def answers():
        assert project.ended("web") is None, project.log("web")
        try:
            return client.get("/")
        except httpx.TransportError:
            return None

    with client:
        eventually(answers)
        yield client


def test_every_example_is_in_the_list_and_run_here():
    folders = {one.name for one in EXAMPLES.iterdir() if one.is_dir()}
    text = (EXAMPLES / "README.md").read_text()
    assert {name for name in folders if f"[`{name}`]({name})" in text} == folders
    assert folders == {"celery", "demo", "django", "fastapi", "flask"}


def test_django(project, server):
    shop = project("django")
    shop.command("manage.py", "migrate", "-v", "0")
    shop.start("mailer")
    with served(shop, "manage.py", "runserver", "--noreload", "127.0.0.1:PORT") as web:
        assert web.post("/orders", data={**ADA, "item": "unicorn"}).status_code == 409
        told = web.post("/orders", data={**ADA, "item": "lamp"})
        assert told.status_code == 201, shop.log("web")
        number = told.json()["order"]
        ((mailbox, message),) = server.wait_for(1)
        assert mailbox == "ada@example.org"
        assert message["Subject"] == f"Order {number}: lamp"
        assert message["From"] == "Shop <news@shop.example>"
        assert [part.get_content_type() for part in message.walk()].count("image/png") == 1

        # A command of the project's, with Django's own mail.
        assert shop.command("manage.py", "send_invoices") == "1 invoices, 1 report\n"
        assert shop.command("manage.py", "send_invoices") == "0 invoices, 1 report\n"
        kept = server.wait_for(5)
        invoices = [one for one in kept if "Invoice " in one[1]["Subject"]]
        assert sorted(mailbox for mailbox, _ in invoices) == [
            "ada@example.org",
            "archive@shop.example",
        ]
        invoice = invoices[0][1]
        assert (invoice["X-Order"], invoice["Bcc"]) == (str(number), None)
        assert [part.get_content_type() for part in invoice.walk() if not part.is_multipart()] == [
            "text/plain",
            "text/html",
            "image/png",
            "application/pdf",
        ]
        eventually(lambda: not shop.open_recipients())
        status = shop.command("manage.py", "mailer", "status")
        assert "send.django" in status
        assert "send.order" in status
        assert len(server.kept) == 5, "the unicorn's order was taken back"


def test_flask(project, server):
    shop = project("flask")
    shop.start("mailer")
    with served(shop, "-m", "flask", "--app", "app", "run", "--port", "PORT") as web:
        first, second = (web.post("/sign-up", data=ADA) for _ in range(2))
        assert first.status_code == second.status_code == 202, first.text
        assert first.json() == second.json(), "the same key, the same message"
        wrong = web.post("/sign-up", data={"email": "nonsense", "name": "N"})
        assert wrong.status_code == 422
        assert "malformed" in wrong.json()["error"]
        assert web.post("/sign-up", data={"email": "bob@example.org", "name": "Bob"}).is_success
        kept = server.wait_for(2)
        assert sorted(mailbox for mailbox, _ in kept) == ["ada@example.org", "bob@example.org"]
        assert dict(kept)["ada@example.org"]["Message-ID"] == first.json()["message_id"]


def test_fastapi(project, server):
    shop = project("fastapi")
    shop.start("mailer")
    with served(shop, "-m", "uvicorn", "main:app", "--host", "127.0.0.1", "--port", "PORT") as web:
        assert web.post("/sign-up", json=ADA).status_code == 201
        again = web.post("/sign-up", json=ADA)
        assert (again.status_code, again.json()["detail"]) == (
            409,
            "this mailbox has signed up already",
        )
        with sqlite3.connect(shop.folder / "shop.sqlite3") as database:
            assert database.execute("select email from customers").fetchall() == [(ADA["email"],)]
        assert web.post("/remind", json={"email": "x", "name": "X"}).status_code == 422
        assert (
            web.post("/remind", json={"email": "bob@example.org", "name": "B"}).status_code == 202
        )
        server.wait_for(2)
        eventually(lambda: not shop.open_recipients())
        assert sorted(server.mailboxes()) == ["ada@example.org", "bob@example.org"]
