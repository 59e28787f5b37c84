"""`mailer trace` names the queue id under which a real Postfix knows the message."""

import re

from tests.cli.conftest import mailer, place
from tests.servers.cluster import Cluster
from tests.servers.waiting import eventually
from tests.smtp.conftest import authority
from tests.smtp.test_postfix import postfix, pytestmark

__all__ = ["authority", "mailer", "place", "postfix", "pytestmark"]


def test_trace_shows_the_queue_id_that_postfix_has_logged(mailer, place, redis_url, postfix):
    cluster = Cluster(place, redis_url, postfix.port)
    cluster.set_password("primary", "secret")
    cluster.configure(
        f"""redis = "{redis_url}"
sender = "Shop <news@shop.example>"
[accounts.primary]
url = "smtp+starttls://shop%40mx.example@127.0.0.1:{postfix.port}"
password_file = "primary.password"
ca_file = "{postfix.ca_file}"
[history]
url = "sqlite:///history.sqlite"
"""
    )
    (place / "people.csv").write_text("email,name\nada@example.org,Ada\nno@example.org,Bob\n")
    assert mailer("history", "upgrade").code == 0
    cluster.start("w1")
    try:
        sent = mailer("send", "spring", "--template", "hello", "--set", "season=x", "people.csv")
        assert sent.code == 0, sent.err
        eventually(lambda: cluster.final("spring"))
        eventually(lambda: "accepted" in mailer("trace", "ada@example.org").out)
    finally:
        cluster.close()

    shown = mailer("trace", "ada@example.org").out
    (queue_id,) = re.findall(r"250 2\.0\.0 Ok: queued as (\w+)", shown)
    assert eventually(lambda: postfix.logged(rf"{queue_id}: to=<ada@example\.org>"))
    message_id = re.search(r"<\w+@shop\.example>", shown)[0]
    assert postfix.logged(rf"{queue_id}: message-id={re.escape(message_id)}")
    assert queue_id in mailer("trace", message_id).out
    refused = mailer("trace", "no@example.org").out
    assert "spring: rejected" in refused
    assert "550 5.1.1" in refused
