"""Live figures come through: to many tabs, past slow readers, behind a proxy that keeps streams back."""

import http.client
import json
import socket
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from mailer.config import Web
from mailer.mail.policy import CampaignPolicy
from mailer.operate import campaigns
from mailer.store import Store
from mailer.store.ledger import Fresh
from mailer.web import patience
from mailer.web.console import live, words
from tests.queues.browser import browser
from tests.servers.cluster import eventually
from tests.web.console.conftest import Console

PATH = "/console/campaigns/spring"


@pytest.fixture
def campaign(client):
    """A campaign of ten that nobody sends."""
    store, now = Store(client), time.time()
    run = store.campaigns.open(
        "spring",
        digest="d",
        summary={"account": "primary"},
        policy=CampaignPolicy(),
        accept_changes=False,
        now=now,
    ).run
    store.ledger.enqueue(
        store.campaigns.next_batch("spring"),
        run=run,
        queue="bulk",
        account="primary",
        payload=b"",
        recipients=[Fresh(number.to_bytes(8, "big"), 7) for number in range(10)],
        now=now,
    )
    store.campaigns.close("spring")


def events(answer):
    """What a stream tells, one after the other."""
    for line in answer.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def test_no_proxy_is_told_to_keep_or_to_pack_a_stream(console, campaign):
    with console.operator.stream("GET", f"{PATH}/live") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store, no-transform"
        assert answer.headers["x-accel-buffering"] == "no"
        assert "10" in next(events(answer))["html"]


def test_where_nothing_moves_a_comment_keeps_the_connection(console, campaign, settings):
    campaigns.pause(settings, "spring")
    with console.operator.stream("GET", f"{PATH}/live") as answer:
        lines = answer.iter_lines()
        assert any(line == ": lives" for _, line in zip(range(40), lines, strict=False))


def test_how_long_it_took_goes_on_while_it_is_sent_and_ends_with_the_newest_outcome(
    settings, campaign
):
    found = campaigns.status(settings, "spring")
    begun = replace(found, started=time.time() - 90, active=time.time() - 60, says="sending")
    assert words.took(found) is None
    assert words.span(words.took(begun)) == "1 min"
    assert round(words.took(begun)) >= 90
    assert round(words.took(replace(begun, says="paused"))) == 30
    assert round(words.took(replace(begun, outcomes={**found.outcomes, "queued": 0}))) == 30


@pytest.mark.parametrize("path", ["/console/campaigns", PATH])
def test_that_no_worker_runs_is_said_where_somebody_waits_for_it(console, campaign, client, path):
    assert "No worker runs" in console.viewer.get(path).text
    figure = f"{PATH}/live?once=1"  # so that it goes from an open page, too, once a worker starts
    assert "No worker runs" in console.viewer.get(figure).json()["html"]
    Store(client).campaigns.set_state("spring", "paused")  # then a worker changes nothing
    assert "No worker runs" not in console.viewer.get(path).text
    Store(client).campaigns.set_state("spring", "running")
    assert "No worker runs" in console.viewer.get(path).text
    Store(client).waiting.note_sweep(time.time())
    assert "No worker runs" not in console.viewer.get(path).text
    eventually(lambda: "No worker runs" not in console.viewer.get(figure).json()["html"])


def test_one_figure_can_be_asked_for_where_no_stream_comes_through(console, campaign):
    answer = console.viewer.get(f"{PATH}/live?once=1")
    assert answer.json()["final"] is False
    assert "10" in answer.json()["html"]
    assert answer.headers["cache-control"] == "no-store, no-transform"


def test_many_tabs_ask_redis_once(console, campaign, monkeypatch):
    asked, figure = [], live._figure
    monkeypatch.setattr(live, "_figure", lambda *args: asked.append(args) or figure(*args))
    with httpx.Client(base_url=f"http://127.0.0.1:{console.port}", timeout=30) as tabs:
        tabs.auth = console.operator.auth
        streams = [tabs.stream("GET", f"{PATH}/live") for _ in range(20)]
        began = time.monotonic()
        told = [events(stream.__enter__()) for stream in streams]
        assert all(next(one)["state"] for one in told)
        passed = time.monotonic() - began
        assert len(asked) <= 2 + passed / live._SHARED
        for stream in streams:
            stream.__exit__(None, None, None)
    streams_open = console.app.state.streams
    eventually(lambda: streams_open.open == 0)


def test_more_than_enough_are_told_to_load_the_page_again(console, campaign, monkeypatch):
    monkeypatch.setattr(live, "MOST", 1)
    with console.operator.stream("GET", f"{PATH}/live") as first:
        told = events(first)
        next(told)
        answer = console.operator.get(f"{PATH}/live")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        assert console.operator.get(f"{PATH}/live?once=1").status_code == 200


def test_who_reads_nothing_is_left_alone(console, monkeypatch):
    monkeypatch.setattr(patience, "SLOWEST_READER", 0.3)
    with socket.create_connection(("127.0.0.1", console.port), timeout=30) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one = b"GET /static/any/console.css HTTP/1.1\r\nHost: x\r\n\r\n"
        connection.sendall(one * 2_000)  # more answers than all buffers on the way hold

        def is_gone():
            try:
                connection.send(one)
            except ConnectionError:
                return True
            return False

        eventually(is_gone)
    assert console.operator.get("/console/campaigns").status_code == 200


def test_a_server_that_stops_ends_its_streams_at_once_and_without_an_error(settings, campaign):
    with Console(settings) as server, server.operator.stream("GET", f"{PATH}/live") as answer:
        told = events(answer)
        next(told)
        server.config.timeout_graceful_shutdown = None  # it would wait for ever
        server.stop()
        assert not server.alive
        list(told)  # its end is one


class _Keeping(BaseHTTPRequestHandler):
    """A proxy that passes an answer on when all of it is there."""

    def do_GET(self):
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=60)
        upstream.request("GET", self.path, headers=dict(self.headers.items()))
        answer = upstream.getresponse()
        try:
            octets = answer.read()
        finally:
            upstream.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)

    def log_message(self, *_args):
        """Say nothing."""


@pytest.fixture
def kept_back(settings):
    """A console that is open, behind a proxy that keeps streams back."""
    with Console(without_users(settings), open_console=True) as server:
        proxy = ThreadingHTTPServer(("127.0.0.1", 0), _Keeping)
        proxy.daemon_threads = True
        proxy.behind = server.port
        thread = threading.Thread(target=proxy.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{proxy.server_port}"
        proxy.shutdown()
        proxy.server_close()
        thread.join(20)


def without_users(settings):
    return settings.model_copy(update={"web": Web()})


@pytest.mark.chromium
def test_behind_a_proxy_that_keeps_streams_back_figures_move_all_the_same(
    kept_back, campaign, settings, tmp_path
):
    with browser(tmp_path) as page:
        page.open(f"{kept_back}{PATH}", "spring")
        campaigns.pause(settings, "spring")
        eventually(
            lambda: page.whole("document.querySelector('[data-state]')?.innerText") == "paused"
        )
        campaigns.cancel(settings, "spring")
        eventually(
            lambda: "cancelled" in page.whole("document.querySelector('[data-live]')?.innerText")
        )
