"""A webhook gets what is signed and nobody else does, whatever its server answers."""

import base64
import json
import re
import socket
import sqlite3
import ssl
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
import trustme

from mailer.config import load
from mailer.errors import ConfigError, EventsNotTakenError
from mailer.worker.telling.helper import Helper
from mailer.worker.telling.shown import delivery
from mailer.worker.telling.ways import orders
from mailer.worker.telling.webhook import Webhook
from tests.servers.common_name import named_in_common_name
from tests.worker.telling.receiver import Receiver

BODY = delivery([{"id": "e1", "mailbox": "jürgen@example.org"}])
WHSEC = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


def snippet(name):
    """The function of that name out of docs/events.md, as it stands there."""
    text = (Path(__file__).parents[3] / "docs/events.md").read_text()
    (found,) = [
        one for one in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if f"def {name}(" in one
    ]
    place = {}
    exec(compile(found, "docs/events.md", "exec"), place)
    return place[name]


def verified(secret, headers, body):
    headers = {name.lower(): value for name, value in headers.items()}
    return snippet("verified")(secret, headers, body)


@pytest.fixture
def receiver():
    with Receiver() as one:
        yield one


@pytest.fixture
def hook(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    secret.chmod(0o600)

    made = []

    def make(url, ca_file=None, limit=5.0):
        made.append(Webhook(url, [None, str(secret), None], ca_file, limit))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("secret", ["s3cret", WHSEC])
def test_a_delivery_is_verified_by_the_snippet_of_the_documents(receiver, hook, tmp_path, secret):
    (tmp_path / "secret").write_text(secret)
    hook(receiver.url).post(BODY)

    ((path, headers, body),) = receiver.requests
    assert path == "/hooks/mail?from=mailer"
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == json.loads(BODY)
    assert headers["Webhook-Id"] == json.loads(body)["id"]
    assert verified(secret, headers, body)
    assert not verified(secret, headers, body + b" ")
    assert not verified("another", headers, body)
    late = headers | {"Webhook-Timestamp": str(int(time.time()) - 400)}
    assert not verified(secret, late, body)
    moved = headers | {"Webhook-Timestamp": str(int(headers["Webhook-Timestamp"]) + 1)}
    assert not verified(secret, moved, body)


def test_a_delivery_that_comes_again_is_done_once_by_the_snippet_of_the_documents(receiver, hook):
    take, done = snippet("take"), []
    for _ in range(2):
        hook(receiver.url).post(BODY)
    first, again = (body for _, _, body in receiver.requests)
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE TABLE seen (id TEXT PRIMARY KEY)")
        with pytest.raises(ZeroDivisionError):
            take(first, db, lambda _event: 1 / 0)  # what was not done is not seen
        take(first, db, done.append)
        take(again, db, done.append)
    assert done == json.loads(BODY)["events"]


def test_while_a_secret_is_changed_both_verify(receiver, hook, tmp_path):
    (tmp_path / "secret").write_text(f"new\n{WHSEC}\n")
    hook(receiver.url).post(BODY)

    ((_, headers, body),) = receiver.requests
    assert verified("new", headers, body)
    assert verified(WHSEC, headers, body)


def test_a_secret_that_was_changed_is_read_after_a_refusal(receiver, hook, tmp_path):
    receiver.answer = lambda handler, _body: handler.reply(401) or True
    one = hook(receiver.url)
    with pytest.raises(EventsNotTakenError, match="401 Unauthorized"):
        one.post(BODY)
    (tmp_path / "secret").write_text("new")
    receiver.answer = None
    one.post(BODY)

    _, headers, body = receiver.requests[-1]
    assert verified("new", headers, body)


def test_a_broken_secret_is_said_without_its_value(receiver, hook, tmp_path):
    (tmp_path / "secret").write_text("whsec_no-base64!")
    with pytest.raises(ConfigError) as caught:
        hook(receiver.url).post(BODY)
    assert "no-base64" not in str(caught.value)


def test_one_connection_serves_all_deliveries_and_one_that_was_closed_is_made_anew(receiver, hook):
    one = hook(receiver.url)
    for _ in range(3):
        one.post(BODY)
    assert receiver.connections == 1

    def closes(handler, body):
        receiver.keep(body)
        handler.reply(204)
        handler.close_connection = True
        return True

    receiver.answer = closes
    one.post(BODY)
    receiver.answer = None
    one.post(BODY)
    assert receiver.connections == 2
    assert len(receiver.deliveries) == 5


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_refused_and_not_followed(receiver, hook, status):
    with Receiver() as elsewhere:
        receiver.answer = lambda handler, _: (
            handler.reply(status, [("Location", elsewhere.url)]) or True
        )
        with pytest.raises(EventsNotTakenError, match="redirects are not followed"):
            hook(receiver.url).post(BODY)
        assert elsewhere.requests == []


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503, 799])
def test_another_status_is_a_refusal_that_does_not_repeat_what_the_server_wrote(
    receiver, hook, status
):
    receiver.answer = lambda handler, _: (
        handler.send_response(status, "ada@example.org") or handler.end_headers() or True
    )
    with pytest.raises(EventsNotTakenError) as caught:
        hook(receiver.url).post(BODY)
    assert str(status) in str(caught.value)
    assert "ada" not in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [
        ("120", 120, 120),
        ("999999", 3600, 3600),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        ("x", 0, 0),
    ],
)
def test_a_server_may_ask_for_a_pause(receiver, hook, asked, least, most):
    receiver.answer = lambda handler, _: handler.reply(503, [("Retry-After", asked)]) or True
    with pytest.raises(EventsNotTakenError) as caught:
        hook(receiver.url).post(BODY)
    assert least <= caught.value.wait <= most


def test_an_answer_without_end_is_not_read_to_it(receiver, hook):
    def floods(handler, _body):
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"x" * 65536)
        except OSError:
            return True

    receiver.answer = floods
    hook(receiver.url).post(BODY)  # returns


def test_a_server_that_answers_an_octet_now_and_then_is_left_in_time(tmp_path, hook):
    """Each octet comes before the connection's own time is over: the whole has a limit, too."""
    hook("http://localhost:1")
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def drips():
        with listener, listener.accept()[0] as peer:
            peer.recv(65536)
            for octet in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000:
                if over.wait(0.2):
                    return
                try:
                    peer.send(bytes([octet]))
                except OSError:
                    return

    thread = threading.Thread(target=drips)
    thread.start()
    (tmp_path / "mailer.toml").write_text(
        f'[events]\nwebhook = "http://localhost:{listener.getsockname()[1]}/"\n'
        'secret_file = "secret"\n'
    )
    helper = Helper(orders("webhook", load(tmp_path / "mailer.toml", {})), 1.0)
    helper.check()
    try:
        with pytest.raises(EventsNotTakenError, match="no answer within 1 s"):
            helper.tell(BODY)
    finally:
        over.set()
        thread.join()
        helper.close()


def test_nobody_listens(hook):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(EventsNotTakenError, match="cannot be reached: Connection refused"):
        hook(f"http://127.0.0.1:{port}/").post(BODY)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "it closed the connection without an answer"),
        (b"SSH-2.0 hello\r\n\r\n", "no HTTP that can be read"),
        (b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 200 + b"\r\n", "no HTTP that can be read"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"b" * 70_000, "no HTTP that can be read"),
    ],
    ids=["nothing", "another protocol", "many fields", "a long field"],
)
def test_an_answer_that_is_none_is_said_as_what_it_is(hook, answer, words):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            connection, _ = listener.accept()
            with connection:
                read = b""
                while not read.endswith(BODY):
                    read += connection.recv(65_536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(EventsNotTakenError, match=words):
            hook(f"http://127.0.0.1:{listener.getsockname()[1]}/").post(BODY)
        thread.join()


def test_tls_is_verified(hook, tmp_path):
    authority, stranger = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    for name, ca in (("ca.pem", authority), ("stranger.pem", stranger)):
        ca.cert_pem.write_to_path(str(tmp_path / name))
    with Receiver(tls=context) as receiver:
        hook(receiver.url, str(tmp_path / "ca.pem")).post(BODY)
        for ca_file in (None, str(tmp_path / "stranger.pem")):
            with pytest.raises(EventsNotTakenError, match="its certificate is not good"):
                hook(receiver.url, ca_file).post(BODY)
        wrong_name = receiver.url.replace("localhost", "127.0.0.1")
        with pytest.raises(EventsNotTakenError, match="its certificate is not good"):
            hook(wrong_name, str(tmp_path / "ca.pem")).post(BODY)
        assert len(receiver.deliveries) == 1


def test_a_receiver_named_in_the_common_name_of_its_certificate_alone_is_told_nothing(
    hook, tmp_path
):
    with (
        named_in_common_name(tmp_path) as (port, ca_file),
        pytest.raises(EventsNotTakenError, match="its certificate is not good: Hostname mismatch"),
    ):
        hook(f"https://localhost:{port}/", str(ca_file)).post(BODY)


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ('webhook = "http://shop.example/"\nsecret_env = "X"', "must begin with https://"),
        ('webhook = "https://a:b@shop.example/"\nsecret_env = "X"', "must have no login"),
        (
            'webhook = "http://localhost.evil.example/"\nsecret_env = "X"',
            "must begin with https://",
        ),
        ('webhook = "https://"\nsecret_env = "X"', "must begin with https://"),
        ('webhook = "https://shop.example/"', "webhook wants a key"),
        ('kinds = ["acepted"]', "acepted: no such kind"),
        ('hook = "shop mail"', "must be a name"),
        ("batch = 5000", "batch"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(tmp_path, table, fault):
    (tmp_path / "mailer.toml").write_text(f"[events]\n{table}\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "mailer.toml", {})
    assert fault in str(caught.value)
    assert "a:b" not in str(caught.value)
