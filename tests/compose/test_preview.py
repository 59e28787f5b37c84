"""The preview: what a browser really shows, and what it must not do."""

import html
import http.server
import re
import shutil
import subprocess
import threading

import pytest

from mailer.compose.preview import as_eml, as_page
from mailer.compose.verify import faults
from tests.compose.conftest import read, row

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def test_the_eml_is_what_would_leave(newsletter):
    content = as_eml(newsletter, row())
    assert faults(content) == []
    assert content == newsletter.compose(row()).joined(newsletter.shared)


def test_the_page_shows_two_widths_the_headers_and_the_text(newsletter):
    page = as_page(newsletter, row(name="<Ada>"))
    assert re.findall(r'<iframe sandbox srcdoc="[^"]+" class="(\w+)" width="(\d+)"', page) == [
        ("desktop", "720"),
        ("phone", "375"),
    ]
    assert "&lt;Ada&gt;, what grows this spring" in page
    assert "Dear &lt;Ada&gt;," in page
    assert "<Ada>" not in page


def test_inline_images_are_put_in(make):
    composer = make({"body.html": "<img src='cid:logo.png' alt='x'>", "logo.png": b"PNG"})
    assert "data:image/png;base64,UE5H" in html.unescape(as_page(composer, row()))
    assert "cid:" not in as_page(composer, row())


def test_what_lint_says_is_on_the_page(make):
    assert "bulk mail without List-Unsubscribe" in as_page(make({"body.html": "<p>x</p>"}), row())


def test_a_message_without_html_has_a_page_too(make):
    page = as_page(make({"body.txt": "Hello {{ name }}"}), row())
    assert "<pre>Hello Ada" in page
    assert "<iframe" not in page


def dumped(page: str, tmp_path, *options: str) -> str:
    path = tmp_path / "page.html"
    path.write_text(page)
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--virtual-time-budget=4000",
    ]
    command += [f"--user-data-dir={tmp_path / 'profile'}", *options, f"file://{path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    return done.stdout


@pytest.mark.chromium
@pytest.mark.skipif(not CHROMIUM, reason="wants Chromium")
def test_the_browser_runs_no_script_and_loads_nothing(make, tmp_path):
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    home = f"http://127.0.0.1:{server.server_port}"
    body = (
        f"<link rel=stylesheet href='{home}/css'><script src='{home}/js'></script>"
        f"<script>parent.document.title = 'taken over'</script><img src=x onerror='parent.x=1'>"
        f"<iframe src='{home}/frame'></iframe><img src='{home}/pixel' alt=''>"
        f"<form action='{home}/form'></form><p>Hello</p>"
    )
    composer = make({"subject.txt": "Untouched", "body.html": body, "body.txt": "x"})
    try:
        dom = dumped(as_page(composer, row()), tmp_path, "--dump-dom")
    finally:
        server.shutdown()
        server.server_close()
    assert "<title>Untouched</title>" in dom
    assert asked == []


@pytest.mark.chromium
@pytest.mark.skipif(not CHROMIUM, reason="wants Chromium")
def test_the_newsletter_fits_a_phone(newsletter, tmp_path):
    """Rendered 375 wide, nothing of it is wider: a reader need not scroll sideways."""
    body = read(as_eml(newsletter, row())).get_body(("html",)).get_content()
    measure = "<script>document.title = 'wide:' + document.documentElement.scrollWidth</script>"
    inner = html.escape(
        body.replace(
            "</body>", measure.replace("document.title", "parent.document.title") + "</body>"
        )
    )
    frame = f'<iframe srcdoc="{inner}" width="375" height="900"></iframe>'
    page = f"<html><head><title>x</title></head><body>{frame}</body></html>"
    dom = dumped(page, tmp_path, "--dump-dom")
    found = re.search(r"<title>wide:(\d+)</title>", dom)
    assert found, dom[:300]
    assert int(found[1]) <= 375
