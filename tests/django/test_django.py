"""Django's mail through mailer, in a real project against a real Redis."""

import os
import subprocess
import sys
import textwrap

import pytest

django = pytest.importorskip("django")

SETTINGS = """
import django

SECRET_KEY = "test"
INSTALLED_APPS = ["mailer.django"]
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}}}
BACKEND = "mailer.django.EmailBackend"
if django.VERSION >= (6, 1):
    MAILERS = {{
        "default": {{"BACKEND": BACKEND}},
        "quiet": {{"BACKEND": BACKEND, "OPTIONS": {{"fail_silently": True}}}},
        "billing": {{"BACKEND": BACKEND, "OPTIONS": {{"account": "billing"}}}},
    }}
else:
    EMAIL_BACKEND = BACKEND
DEFAULT_FROM_EMAIL = "Shop <news@shop.example>"
MAILER = {{"redis": "{redis}", "templates": "templates"}}
"""


@pytest.fixture
def run(redis_url, tmp_path):
    """Run a script in a Django project; returns what it printed."""
    (tmp_path / "project.py").write_text(SETTINGS.format(redis=redis_url))
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "project", "PYTHONPATH": str(tmp_path)}

    def run(code, *words):
        script = "import django; django.setup()\n" + textwrap.dedent(code)
        given = ["-c", script] if code else ["-m", "django", *words]
        return subprocess.run(
            [sys.executable, "-W", "error", *given],
            cwd=tmp_path,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


def mails(client):
    from email import message_from_bytes, policy  # noqa: PLC0415

    from mailer.mail.payload import decode  # noqa: PLC0415

    found = sorted(client.keys("mailer:payload:send.django:*"))
    entries = [entry.message for key in found for entry in decode(client.get(key))]
    return entries, [
        message_from_bytes(one.content[0].replace(b"\r\n", b"\n"), policy=policy.default)
        for one in entries
    ]


def test_send_mail_is_queued_and_counted(run, client):
    done = run("""
        from django.core.mail import send_mail, send_mass_mail
        print(send_mail("Grüße", "Text", None, ["ada@example.org", "bob@example.org"],
            html_message="<p>HTML</p>"))
        print(send_mass_mail([("A", "B", None, ["c@example.org"]), ("A", "B", None, [])]))
    """)
    assert done.stdout.split() == ["1", "1"], done.stderr
    entries, read = mails(client)
    assert {one.forward_path for one in entries} == {
        "ada@example.org",
        "bob@example.org",
        "c@example.org",
    }
    assert {one.reverse_path for one in entries} == {"news@shop.example"}
    first = next(one for one in read if one["Subject"] == "Grüße")
    assert first["From"] == "Shop <news@shop.example>"
    assert first.get_body(("html",)).get_content().strip() == "<p>HTML</p>"
    assert first["Precedence"] is None


def test_everything_that_a_message_has_goes_along(run, client):
    done = run("""
        from email.message import MIMEPart
        from email.mime.image import MIMEImage
        import django
        from django.core.mail import EmailMultiAlternatives
        message = EmailMultiAlternatives("Subject", "Text", "Ada <ada@shop.example>",
            ["bob@example.org"], bcc=["hidden@example.org"], cc=["c@example.org"],
            reply_to=["r@shop.example"], headers={"X-Own": "1", "Message-ID": "<own@shop.example>"})
        message.attach_alternative("<p><img src='cid:logo'></p>", "text/html")
        if django.VERSION >= (6,):
            image = MIMEPart(); image.set_content(b"GIF89a", "image", "gif", cid="<logo>")
        else:
            image = MIMEImage(b"GIF89a", "gif"); image["Content-ID"] = "<logo>"
        message.attach(image)
        message.attach("Übersicht.pdf", b"%PDF\\x00\\xff", "application/pdf")
        print(message.send())
    """)
    assert done.stdout.split() == ["1"], done.stderr
    entries, read = mails(client)
    assert sorted(one.forward_path for one in entries) == [
        "bob@example.org",
        "c@example.org",
        "hidden@example.org",
    ]
    got = read[0]
    assert (got["X-Own"], got["Reply-To"], got["Cc"]) == ("1", "r@shop.example", "c@example.org")
    assert got["Message-ID"] == "<own@shop.example>"
    assert "Bcc" not in got
    files = {part.get_filename(): part for part in got.walk() if part.get_filename()}
    assert files["Übersicht.pdf"].get_content() == b"%PDF\x00\xff"
    assert any(part["Content-ID"] == "<logo>" for part in got.walk())


def test_what_cannot_be_sent_raises_unless_it_is_to_fail_silently(run, client):
    done = run("""
        from django.core.mail import EmailMessage, send_mail
        from mailer import MailerError
        from mailer.django import EmailBackend
        try:
            send_mail("A", "B", None, ["nonsense"])
        except MailerError as error:
            print(type(error).__name__)
        print(EmailBackend(fail_silently=True).send_messages([
            EmailMessage("A", "B", None, ["nonsense"])]))
    """)
    assert done.stdout.split() == ["InputError", "0"], done.stderr
    assert client.keys("mailer:*") == []


def test_the_options_of_a_mailer_say_who_sends_and_whether_it_fails_silently(run, client):
    if django.VERSION < (6, 1):
        pytest.skip("MAILERS came with Django 6.1")
    done = run("""
        from django.core.mail import send_mail
        print(send_mail("A", "B", None, ["nonsense"], using="quiet"))
        print(send_mail("A", "B", None, ["ada@example.org"], using="billing"))
    """)
    assert done.stdout.split() == ["0", "1"], done.stderr
    [queued] = client.lrange("mailer.priority", 0, -1)
    assert b"billing" in queued


def test_a_key_makes_a_message_one(run, client):
    done = run("""
        from django.core.mail import EmailMessage
        for _ in range(2):
            message = EmailMessage("A", "B", None, ["ada@example.org"])
            message.key = "order-1"
            print(message.send())
    """)
    assert done.stdout.split() == ["1", "1"], done.stderr
    assert len(mails(client)[0]) == 1


def test_on_commit_is_djangos_by_itself(run, client):
    done = run("""
        from django.core.mail import send_mail
        from django.db import transaction
        from mailer import on_commit
        def later(to):
            on_commit(lambda: send_mail("A", "B", None, [to]))
        with transaction.atomic():
            later("committed@example.org")
        try:
            with transaction.atomic():
                later("rolled-back@example.org")
                raise LookupError
        except LookupError:
            pass
        later("at-once@example.org")
    """)
    assert done.returncode == 0, done.stderr
    assert sorted(one.forward_path for one in mails(client)[0]) == [
        "at-once@example.org",
        "committed@example.org",
    ]


def test_single_messages_and_campaigns_find_the_projects_settings(run, client, tmp_path):
    template = tmp_path / "templates" / "hello"
    template.mkdir(parents=True)
    (template / "subject.txt").write_text("Hello\n")
    (template / "body.txt").write_text("Hello\n")
    (tmp_path / "mailer.toml").write_text('sender = "Wrong <wrong@shop.example>"\n')
    done = run("""
        import mailer
        from django.test import override_settings
        mailer.send("hello", to="ada@example.org")
        mailer.Campaign("spring", template="hello").enqueue([{"email": "bob@example.org"}])
        with override_settings(DEFAULT_FROM_EMAIL="other@shop.example"):
            print(mailer.Campaign("s", template="hello").message({"email": "a@example.org"})["From"])
        mailer.configure(mailer.Settings(sender="given@shop.example", templates="templates"))
        print(mailer.Campaign("s", template="hello").message({"email": "a@example.org"})["From"])
    """)
    assert done.stdout.split() == ["other@shop.example", "given@shop.example"], done.stderr
    assert client.llen("mailer.priority") == client.llen("mailer.bulk") == 1


def test_the_management_command_finds_the_projects_settings(run):
    assert run("""
        from django.core.mail import send_mail
        send_mail("A", "B", None, ["ada@example.org"])
    """).returncode == 0  # fmt: skip
    done = run("", "mailer", "status", "send.django", "--json")
    assert done.returncode == 0, done.stderr
    assert '"queued": 1' in done.stdout
    wrong = run("", "mailer", "status", "nothing")
    assert wrong.returncode == 1
    assert "Traceback" not in wrong.stderr


def test_a_fault_in_the_projects_settings_is_named(run, tmp_path):
    with (tmp_path / "project.py").open("a") as file:
        file.write('MAILER["redsi"] = "x"\n')
    done = run("""
        from django.core.mail import send_mail
        send_mail("A", "B", None, ["ada@example.org"])
    """)
    assert "ImproperlyConfigured: MAILER: redsi" in done.stderr


def test_importing_the_backend_makes_nothing_the_current_celery_app(run):
    done = run("""
        import celery
        shop = celery.Celery("shop")
        import mailer.django.backend
        print(celery.current_app._get_current_object() is shop)
    """)
    assert done.stdout.split() == ["True"], done.stderr
