"""Where tokens come from, and that they are fetched once for all who ask."""

import contextlib
import http.server
import json
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mailer.errors import ConfigError, TokenRefusedError, TokenUnavailableError
from mailer.smtp.login import oauth
from mailer.smtp.login.oauth import TokenSource, from_command, from_endpoint
from tests.servers.common_name import named_in_common_name


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def counted():
    clock, fetched = Clock(), []

    def fetch():
        fetched.append(clock.now)
        return f"token{len(fetched)}", 3600.0

    return TokenSource(fetch, clock), clock, fetched


def test_a_token_is_kept_while_it_lives(counted):
    source, clock, _ = counted
    assert [source(False), source(False)] == ["token1", "token1"]
    clock.now += 3600 - 61
    assert source(False) == "token1"
    clock.now += 2
    assert source(False) == "token2"


def test_one_refresh_serves_all_connections_whose_token_was_refused(counted):
    source, clock, fetched = counted
    source(False)
    clock.now += 100
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(source, [True] * 8)) == {"token2"}
    assert len(fetched) == 2


def test_the_repr_hides_the_token(counted):
    source, *_ = counted
    source(False)
    assert "token1" not in repr(source)


def test_a_command_gives_a_token():
    assert from_command("printf xyz")(False) == "xyz"


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (lambda: from_command("no-such-program-at-all"), ConfigError),
        (lambda: from_command("false"), TokenUnavailableError),
        (lambda: from_command("true"), TokenRefusedError),
        (lambda: from_command(["sleep", "5"], timeout=0.05), TokenUnavailableError),
    ],
)
def test_a_source_that_gives_none_says_why(source, error):
    with pytest.raises(error):
        source()(False)


def test_a_token_endpoint_must_be_https():
    with pytest.raises(ConfigError, match="https"):
        from_endpoint("http://login.example/token", dict)


@pytest.fixture
def endpoint(authority):
    """A token endpoint that answers as the test wants; gives its address and what it was sent."""
    answers, forms = [], []

    class Endpoint(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            forms.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            answer = answers.pop(0)
            if callable(answer):
                answer(self.wfile)
                return
            code, body = answer
            self.send_response(code)
            if 300 <= code < 400:
                self.send_header("Location", body.decode())
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Endpoint)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}/token", answers, forms
    server.shutdown()
    server.server_close()
    thread.join()


def fields():
    return {"grant_type": "refresh_token", "refresh_token": "r&1", "client_id": "c"}


def test_a_refresh_token_is_exchanged_at_the_endpoint(endpoint, ca_file):
    url, answers, forms = endpoint
    answers.append((200, json.dumps({"access_token": "fresh", "expires_in": 3600}).encode()))
    assert from_endpoint(url, fields, ca_file=ca_file)(False) == "fresh"
    assert forms == ["grant_type=refresh_token&refresh_token=r%261&client_id=c"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((400, b'{"error": "invalid_grant"}'), TokenRefusedError),
        ((401, b"go away"), TokenRefusedError),
        ((400, b'{"error": "temporarily_unavailable"}'), TokenUnavailableError),
        ((503, b""), TokenUnavailableError),
        ((200, b"{}"), TokenUnavailableError),
        ((200, b"no json"), TokenUnavailableError),
    ],
)
def test_an_endpoint_that_says_no_differs_from_one_in_trouble(endpoint, ca_file, answer, error):
    url, answers, _ = endpoint
    answers.append(answer)
    with pytest.raises(error) as caught:
        from_endpoint(url, fields, ca_file=ca_file)(False)
    assert "r&1" not in str(caught.value)
    assert "Error" not in str(caught.value), "in words"


def _now_and_then(begins):
    """An answer that *begins* so, and goes on by an octet now and then, for ever."""

    def answer(out):
        out.write(begins)
        with contextlib.suppress(OSError):
            while True:
                out.write(b"x")
                time.sleep(0.02)

    return answer


@pytest.mark.parametrize(
    "begins",
    [b"", b"HTTP/1.1 200 ok\r\nX-A: ", b"HTTP/1.1 200 ok\r\n\r\n", b"HTTP/1.1 503 no\r\n\r\n"],
)
def test_an_answer_that_comes_by_the_octet_is_left_in_time(endpoint, ca_file, begins):
    url, answers, _ = endpoint
    answers += [_now_and_then(begins), (200, b'{"access_token": "x"}')]
    source = from_endpoint(url, fields, ca_file=ca_file, timeout=1.5)
    with pytest.raises(TokenUnavailableError, match="no answer in time"):
        source(False)
    assert from_endpoint(url, fields, ca_file=ca_file)(False) == "x"


@pytest.mark.parametrize(
    "answer",
    [
        b"who are you?\r\n",
        b"HTTP/1.1 200 ok\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 ok\r\n" + b"X: a\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 ok\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 ok\r\nContent-Length: 50\r\n\r\n{",
        b"HTTP/1.1 200 ok\r\n\r\n" + b"[" * 100_000,
        b"HTTP/1.1 403 no\r\n\r\n<html>blocked by a firewall</html>",
    ],
)
def test_what_is_no_answer_of_a_token_endpoint_only_waits(endpoint, ca_file, answer):
    url, answers, _ = endpoint
    answers.append(lambda out: out.write(answer))
    with pytest.raises(TokenUnavailableError):
        from_endpoint(url, fields, ca_file=ca_file)(False)


def test_an_endpoint_without_a_trusted_certificate_is_not_used(endpoint):
    url, answers, _ = endpoint
    answers.append((200, b'{"access_token": "x"}'))
    with pytest.raises(TokenUnavailableError):
        from_endpoint(url, fields)(False)


def test_an_endpoint_named_in_the_common_name_of_its_certificate_alone_is_not_used(tmp_path):
    with named_in_common_name(tmp_path) as (port, ca_file):
        url = f"https://localhost:{port}/token"
        with pytest.raises(TokenUnavailableError, match="certificate"):
            from_endpoint(url, fields, ca_file=ca_file)(False)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_redirect_of_the_endpoint_is_followed(endpoint, ca_file, code, scheme):
    url, answers, forms = endpoint
    answers += [(code, url.replace("https", scheme).encode()), (200, b'{"access_token": "x"}')]
    with pytest.raises(TokenUnavailableError, match="redirect"):
        from_endpoint(url, fields, ca_file=ca_file)(False)
    assert len(forms) == 1


@pytest.mark.parametrize("error", ["r&1", "\x1b[31mr&1", ["r&1"], {"r&1": 1}, "bad token r&1"])
def test_an_endpoint_s_own_words_are_not_repeated(endpoint, ca_file, error):
    url, answers, _ = endpoint
    answers.append((400, json.dumps({"error": error}).encode()))
    with pytest.raises(TokenRefusedError) as caught:
        from_endpoint(url, fields, ca_file=ca_file)(False)
    assert str(caught.value) == "token endpoint 127.0.0.1: 400"


@pytest.mark.parametrize(
    "lifetime",
    ["NaN", "Infinity", "1e999", "-1", "0", "null", '"soon"', "[1]", "1" + "0" * 400],
)
def test_a_lifetime_that_is_none_does_not_keep_a_token_for_ever(endpoint, ca_file, lifetime):
    url, answers, forms = endpoint
    body = b'{"access_token": "x", "expires_in": %b}' % lifetime.encode()
    answers += [(200, body), (200, body)]
    now = 0.0
    source = from_endpoint(url, fields, ca_file=ca_file)
    source._clock = lambda: now
    assert source(False) == "x"
    now = oauth.LONGEST_LIFETIME + 1
    assert source(False) == "x"
    assert len(forms) == 2


def test_a_token_that_lives_shortly_is_used_for_half_its_life():
    clock, fetched = Clock(), []
    source = TokenSource(lambda: (fetched.append(1) or "x", 30.0), clock)
    source(False)
    clock.now += 14
    source(False)
    assert len(fetched) == 1
    clock.now += 2
    source(False)
    assert len(fetched) == 2
