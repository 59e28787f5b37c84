"""Who may see the console, and who may do something there."""

import asyncio
import base64
import socket
import time

import pytest
from pydantic import ValidationError

from mailer.config import Web
from mailer.config.passwords import hashed, is_hash, matches, nobodys
from mailer.errors import ConfigError
from mailer.web.console import people
from mailer.web.console.access import Gate
from mailer.web.console.people import People, read_users
from tests.web.console.conftest import HASHES, PASSWORDS, USERS, Console

PAGES = ["/console/campaigns", "/console/audit"]


def with_web(settings, **web):
    return settings.model_copy(update={"web": Web.model_validate(web)})


@pytest.mark.parametrize("path", [*PAGES, "/console/nothing", "/console/campaigns/x/live"])
def test_nobody_sees_anything_without_a_login(console, path):
    answer = console.client.get(path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic realm=")


@pytest.mark.parametrize(
    "login",
    [
        "Basic",
        "Basic !!!",
        "Basic YWRh",
        "Basic Og==",
        "Bearer YWRhOng=",
        "Basic " + "QUFB" * 2000,
        "Basic //79",
    ],
)
def test_what_is_no_login_is_none(console, login):
    answer = console.client.get("/console/campaigns", headers={"Authorization": login})
    assert answer.status_code == 401


def test_a_right_password_lets_in(console):
    assert console.operator.get("/console/campaigns").status_code == 200
    assert console.viewer.get("/console/campaigns").status_code == 200


def test_what_others_need_stays_open(console):
    assert console.client.get("/healthz").status_code == 200
    assert console.client.get("/u/style.css").status_code == 200
    assert console.client.get("/u/forged").status_code == 404
    assert console.client.post("/hooks/nobody").status_code == 404


def test_with_nobody_configured_there_is_no_console(settings):
    with Console(with_web(settings)) as server:
        for path in ("/console/campaigns", "/console/audit"):
            answer = server.operator.get(path)
            assert answer.status_code == 404
            assert "switched off" in answer.text


def test_an_open_console_is_for_this_machine_by_its_own_name(settings):
    with Console(with_web(settings), open_console=True) as server:
        assert server.client.get("/console/campaigns").status_code == 200
        for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil", "", "[::1].x"):
            answer = server.client.get("/console/campaigns", headers={"Host": host})
            assert answer.status_code in (400, 403), host


def test_who_is_configured_closes_an_open_console(settings):
    with Console(settings, open_console=True) as server:
        assert server.client.get("/console/campaigns").status_code == 401


# A viewer.


@pytest.mark.parametrize("act", ["pause", "resume", "cancel"])
def test_a_viewer_may_not_act(console, client, act):
    answer = console.press(f"/console/campaigns/x/{act}", "/console/campaigns", console.viewer)
    assert answer.status_code == 403
    assert "may look, and not act" in answer.text


# Guessing.


def test_guessing_is_slowed_and_who_is_in_stays_in(console, monkeypatch):
    monkeypatch.setattr(
        people, "monotonic", lambda: 1000.0
    )  # no wait is over before it is looked at
    assert console.operator.get("/console/campaigns").status_code == 200
    wrong = [console.client.get("/console/campaigns", auth=("ada", f"guess {n}")) for n in range(7)]
    assert [answer.status_code for answer in wrong[:5]] == [401] * 5
    assert wrong[-1].status_code == 429
    assert 1 <= int(wrong[-1].headers["retry-after"]) <= 2
    assert console.operator.get("/console/campaigns").status_code == 200
    # The right one has to wait as well: else an answer would tell which guess was right.
    with console.client_of("vic") as fresh:
        assert fresh.get("/console/campaigns").status_code == 429


def test_the_wait_grows_and_ends(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(people, "monotonic", lambda: now[0])
    guesses = people.Guesses()
    waits = []
    for _ in range(people.FREE_GUESSES + 12):
        guesses.wrong("from x")
        waits.append(guesses.wait("from x", "for ada"))
    assert waits[: people.FREE_GUESSES - 1] == [0.0] * (people.FREE_GUESSES - 1)
    assert waits[people.FREE_GUESSES - 1 : people.FREE_GUESSES + 3] == [1, 2, 4, 8]
    assert waits[-1] == people.LONGEST_WAIT
    now[0] += people.LONGEST_WAIT
    assert guesses.wait("from x") <= 0


def test_a_name_that_nobody_has_takes_as_long(settings):
    found = People(with_web(settings, users={"ada": {"password": hashed("right")}}).web)
    spans = []
    for name in ("ada", "nobody"):
        start = time.thread_time()
        assert found.prove(name, "wrong") is None
        spans.append(time.thread_time() - start)
    assert max(spans) < 5 * min(spans)


# Passwords and users.


def test_a_hash_is_salted_and_matches_its_password_only():
    first, second = hashed("päss word"), hashed("päss word")
    assert first != second
    assert is_hash(first)
    assert matches("päss word", first)
    assert not matches("päss Word", first)
    assert not matches("x" * 10_000, first)
    assert not matches("päss word", "plain")
    assert is_hash(nobodys())
    assert not matches("päss word", nobodys())


def test_a_password_in_the_place_of_its_hash_is_refused_and_not_repeated(settings):
    with pytest.raises(ValidationError) as refused:
        with_web(settings, users={"ada": {"password": "hunter2-hunter2"}})
    assert "mailer web hash" in str(refused.value)


def test_a_file_of_users_is_read_again_when_it_changes(settings, tmp_path):
    file = tmp_path / "users"
    file.write_text(f"# ours\n\nada:operator:{HASHES['ada']}\n")
    with Console(with_web(settings, users_file=str(file))) as server:
        assert server.operator.get("/console/campaigns").status_code == 200
        assert server.viewer.get("/console/campaigns").status_code == 401
        file.write_text(f"vic:viewer:{HASHES['vic']}\n")
        assert server.operator.get("/console/campaigns").status_code == 401
        assert server.viewer.get("/console/campaigns").status_code == 200
        file.write_text("half a li")
        assert server.viewer.get("/console/campaigns").status_code == 200


@pytest.mark.parametrize(
    "line", ["ada", "ada:admin:x", f"ada:viewer:{PASSWORDS['ada']}", ":viewer:x"]
)
def test_a_wrong_line_is_named_and_not_shown(tmp_path, line):
    file = tmp_path / "users"
    file.write_text(f"\n{line}\n")
    with pytest.raises(ConfigError, match="line 2") as refused:
        read_users(file)
    assert PASSWORDS["ada"] not in str(refused.value)


# A proxy that has asked already.


@pytest.fixture
def proxied(settings):
    web = {
        "trusted_header": "X-Remote-User",
        "trusted_proxies": ["127.0.0.0/8"],
        "operators": ["ada"],
    }
    with Console(with_web(settings, **web)) as server:
        yield server


@pytest.mark.parametrize(("name", "role"), [("ada", "operator"), ("eve", "viewer")])
def test_a_trusted_proxy_says_who_asks(proxied, name, role):
    page = proxied.client.get("/console/campaigns", headers={"X-Remote-User": name})
    assert page.status_code == 200
    assert f'<span class="name">{name}</span> <span class="role">{role}</span>' in page.text


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("X-Remote-User", "")],
        [("X-Remote-User", "ada"), ("X-Remote-User", "eve")],
        [("X-Forwarded-User", "ada")],
    ],
)
def test_a_proxy_that_names_nobody_or_two_is_not_believed(proxied, headers):
    assert proxied.client.get("/console/campaigns", headers=headers).status_code == 403


def test_beside_a_proxy_people_may_log_in_themselves(settings):
    web = {"trusted_header": "X-Remote-User", "trusted_proxies": ["10.0.0.0/8"], "users": USERS}
    with Console(with_web(settings, **web)) as server:
        assert server.operator.get("/console/campaigns").status_code == 200
        answer = server.client.get("/console/campaigns", headers={"X-Remote-User": "ada"})
        assert answer.status_code == 401


def test_guesses_from_everywhere_do_not_queue_up(settings):
    guesses = 60

    async def attack():
        gate = Gate(settings)

        def scope(number):
            name = base64.b64encode(f"n{number}:guess".encode())
            headers = [(b"authorization", b"Basic " + name)]
            return {"type": "http", "headers": headers, "client": (f"10.0.0.{number}", 1)}

        return await asyncio.gather(*(gate.visitor(scope(number)) for number in range(guesses)))

    answers = [denied.status for denied in asyncio.run(attack())]
    assert answers.count(401) == 20
    assert answers.count(429) == guesses - 20


@pytest.mark.parametrize("more", [{}, {"X-Forwarded-For": "10.0.0.1"}, {"X-Real-IP": "10.0.0.1"}])
def test_a_header_from_elsewhere_is_not_believed(settings, more):
    web = {"trusted_header": "X-Remote-User", "trusted_proxies": ["10.0.0.0/8"], "operators": ["*"]}
    with Console(with_web(settings, **web)) as server:
        headers = {"X-Remote-User": "ada", **more}
        assert server.client.get("/console/campaigns", headers=headers).status_code == 403


@pytest.mark.parametrize(
    "web",
    [
        {"trusted_header": "X-User"},
        {"trusted_header": "X-User", "trusted_proxies": ["10.0.0.0/99"]},
        {"users": {"a:b": {"password": HASHES["ada"]}}},
        {"users": {"ada": {"password": HASHES["ada"], "role": "root"}}},
    ],
)
def test_a_wrong_table_is_refused(settings, web):
    with pytest.raises(ValidationError):
        with_web(settings, **web)


# Requests that are none.


def ask(port, octets):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(octets)
        connection.settimeout(5)
        answer = b""
        try:
            while chunk := connection.recv(65536):
                answer += chunk
        except TimeoutError:
            pass
    return answer


@pytest.mark.parametrize(
    "path",
    [
        "/console/../metrics",
        "/console/%2e%2e/audit",
        "/console//audit",
        "/console/campaigns/..%2faudit",
        "/console/campaigns/%00",
        "/static/x/..%2f..%2fapplication.py",
        "/static/x/%2e%2e%2fstyle.css",
        "//evil.example/console",
        "/console/audit/",
        "/console;x=1/audit",
    ],
)
def test_tricks_with_paths_lead_nowhere(console, path):
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    status = ask(console.port, request).split(b" ", 2)[1]
    assert status in (b"401", b"404", b"400")


@pytest.mark.parametrize("path", ["/", "/console", "/console/"])
def test_every_door_leads_to_the_campaigns(console, path):
    answer = console.operator.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/campaigns")


@pytest.mark.parametrize("host", ["evil.example", "a@b", "127.0.0.1\t", "x" * 3000])
def test_no_address_is_made_out_of_host(console, host):
    for path in ("/", "/console", "/console/", "/console/campaigns/"):
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
        answer = ask(console.port, request)
        for line in answer.split(b"\r\n"):
            if line.lower().startswith(b"location:"):
                assert line.split(b" ")[1].startswith(b"/console")
        assert b"evil.example" not in answer


def test_two_lengths_are_no_request(console):
    lengths = b"Content-Length: 5\r\nContent-Length: 40\r\n\r\n"
    smuggled = b"POST /console/audit HTTP/1.1\r\nHost: x\r\n" + lengths
    answer = ask(console.port, smuggled + b"xxxxxGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b" 400 " in answer
    assert b"ok\n" not in answer


def test_length_and_chunks_together_smuggle_nothing(console):
    request = (
        b"POST /console/audit HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    answer = ask(console.port, request)
    # Either it is refused, or the chunks count and what follows is a request of its own: never both.
    assert answer.count(b"HTTP/1.1 ") <= 2
    assert b" 400 " in answer or b" 401 " in answer


@pytest.mark.parametrize("name", ["console.css", "console.js", "icon.svg"])
def test_what_pages_load_is_kept_for_ever_and_is_public(console, name):
    page = console.operator.get("/console/campaigns").text
    version = page.partition("/static/")[2].partition("/")[0]
    kept = console.client.get(f"/static/{version}/{name}")
    assert "immutable" in kept.headers["cache-control"]
    assert console.client.get(f"/static/other/{name}").headers["cache-control"] == "no-store"
    assert console.client.get(f"/static/{version}/none.js").status_code == 404


def test_a_page_allows_scripts_of_ours_only_and_no_frame(console):
    headers = console.operator.get("/console/campaigns").headers
    policy = dict(
        part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
