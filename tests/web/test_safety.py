"""What comes in is bounded, and what goes out forbids a browser everything else."""

import socket
from time import sleep

import pytest

from mailer.web import health, patience, safety
from mailer.web.safety import LARGEST_BODY


def talk(port, octets, read=1):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(octets)
        answer = b""
        while chunk := connection.recv(4096):
            answer += chunk
            if answer.count(b"HTTP/1.1") >= read and b"\r\n\r\n" in answer:
                break
        return answer


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/metrics", "/nothing", "/%2e%2e/etc/passwd"]
)
def test_every_answer_forbids_scripts_frames_and_indexing(served, path):
    headers = served.client.get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "noindex" in headers["x-robots-tag"]


@pytest.mark.parametrize("length", [str(LARGEST_BODY + 1), "9" * 30])
def test_a_body_that_is_announced_too_large_is_not_read(served, length):
    request = f"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    assert b" 413 " in talk(served.port, request.encode()) or int(length) > 10**20


def test_a_body_that_grows_too_large_is_cut(served):
    def endless():
        for _ in range(20):
            yield b"x" * 100_000

    assert served.client.post("/healthz", content=endless()).status_code == 413


def test_a_client_that_is_too_slow_is_sent_away(served, monkeypatch):
    monkeypatch.setattr(safety, "SLOWEST_BODY", 0.3)
    request = b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"
    assert b" 408 " in talk(served.port, request)
    monkeypatch.undo()
    assert served.client.get("/healthz").status_code == 200


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_a_head_that_does_not_come_holds_no_connection(served, monkeypatch, sent):
    monkeypatch.setattr(patience, "SLOWEST_HEAD", 0.3)
    assert talk(served.port, sent) == b""
    monkeypatch.undo()
    assert served.client.get("/healthz").status_code == 200


def test_a_second_request_is_awaited_no_longer_than_the_first(served, monkeypatch):
    monkeypatch.setattr(patience, "SLOWEST_HEAD", 0.3)
    whole = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    assert talk(served.port, whole + whole[:-4], read=2).count(b"HTTP/1.1 200") == 1


def test_a_slow_answer_is_no_slow_question(served, monkeypatch):
    monkeypatch.setattr(patience, "SLOWEST_HEAD", 1.0)  # the question itself may be late by some
    monkeypatch.setattr(health, "readiness", lambda _settings: sleep(1.5) or [])
    assert served.client.get("/readyz").status_code == 200
