"""A headless Chromium, spoken to over its debugging protocol: open a page, read it, photograph it."""

import base64
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tornado.ioloop import IOLoop
from tornado.websocket import websocket_connect

from tests.servers.waiting import PATIENCE, eventually


def program() -> str | None:
    """Where Chromium is, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")


class Page:
    """One tab."""

    def __init__(self, url: str) -> None:
        self._loop = IOLoop(make_current=False)
        self._number = 0
        self._socket = self._run(lambda: websocket_connect(url, max_message_size=1 << 26))

    def _run(self, call: Callable[[], Any]) -> Any:
        async def main() -> Any:
            return await call()

        return self._loop.run_sync(main, timeout=PATIENCE)

    def _ask(self, method: str, **parameters: object) -> dict[str, Any]:
        self._number += 1
        wanted = self._number
        request = json.dumps({"id": wanted, "method": method, "params": parameters})

        async def exchange() -> dict[str, Any]:
            await self._socket.write_message(request)
            while True:
                reply = json.loads(await self._socket.read_message())
                if reply.get("id") == wanted:
                    assert "error" not in reply, reply
                    return dict(reply["result"])

        return dict(self._run(exchange))

    def open(self, url: str, ready: str, within: float = PATIENCE) -> str:
        """Go to *url*, wait until its text contains *ready*, and return the text."""
        self._ask("Page.navigate", url=url)
        return self.awaited(ready, within)

    def awaited(self, ready: str, within: float = PATIENCE) -> str:
        """Wait until all of the page is there and its text contains *ready*, and return the text."""

        def text() -> str:
            return self.whole("document.body.innerText")

        eventually(lambda: ready in text(), within, f"{ready!r} in the page", every=0.1)
        return text()

    def evaluate(self, script: str) -> Any:
        """The value of a script in the page."""
        reply = self._ask("Runtime.evaluate", expression=script, returnByValue=True)
        return reply["result"].get("value")

    def whole(self, script: str) -> str:
        """The text of a script, "" while the page is not read to its end, or where it has none."""
        return str(self.evaluate(f"document.readyState === 'loading' ? '' : {script}") or "")

    def fill(self, field: str, text: str) -> None:
        """Have *text* stand in the *field* of that id."""
        script = f"document.querySelector({json.dumps('#' + field)}).value = {json.dumps(text)}"
        assert self.evaluate(script) == text

    def resolve(self, script: str) -> Any:
        """The value that the promise of a script in the page comes to."""
        asked = {"expression": script, "returnByValue": True, "awaitPromise": True}
        reply = self._ask("Runtime.evaluate", **asked)
        assert "exceptionDetails" not in reply, reply
        return reply["result"].get("value")

    def emulate(
        self, *, width: int = 1280, height: int = 900, dark: bool = False, script: bool = True
    ) -> None:
        """Be a window of that size, of somebody who likes it *dark*, or has no *script*."""
        self._ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self._ask("Emulation.setScrollbarsHidden", hidden=True)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme])
        self._ask("Emulation.setScriptExecutionDisabled", value=not script)

    def log_in(self, name: str, password: str) -> None:
        """Send name and password with every request from now on."""
        login = base64.b64encode(f"{name}:{password}".encode()).decode()
        self._ask("Network.enable")
        self._ask("Network.setExtraHTTPHeaders", headers={"Authorization": f"Basic {login}"})

    def speak(self, languages: str) -> None:
        """Be the browser of somebody who reads these languages, as Accept-Language says it."""
        self._ask("Network.enable")
        self._ask("Network.setExtraHTTPHeaders", headers={"Accept-Language": languages})

    def cookies(self) -> list[dict[str, Any]]:
        """All cookies that the browser was given."""
        return list(self._ask("Network.getAllCookies")["cookies"])

    def press(self, key: str) -> None:
        """Press and let go a key: ``Tab``, ``Enter``."""
        code = {"Tab": 9, "Enter": 13}[key]
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self._ask(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                windowsVirtualKeyCode=code,
                **(text if kind == "keyDown" else {}),
            )

    def capture(self, file: Path, *, whole: bool = False) -> None:
        """Write what the emulated window shows as a PNG; with *whole*, all of the page."""
        shot = self._ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))

    def photograph(self, file: Path, width: int = 1280, height: int = 720) -> None:
        """Write what the page looks like as a PNG."""
        self._ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        shot = self._ask("Page.captureScreenshot", format="png")
        file.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        """Leave the tab."""

        async def hang_up() -> None:
            self._socket.close()

        self._run(hang_up)  # in its loop: the thread may have none by now
        self._loop.close()


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """A tab of a Chromium of its own, whose profile lies in *folder*."""
    command = [str(program()), "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += ["--remote-debugging-port=0", "--remote-debugging-address=127.0.0.1"]
    command += ["--remote-allow-origins=*", "--disable-dev-shm-usage", f"--user-data-dir={folder}"]
    chromium = subprocess.Popen(
        [*command, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        page = Page(_first_tab(folder))
        try:
            yield page
        finally:
            page.close()
    finally:
        chromium.terminate()
        chromium.wait(120)


def _first_tab(folder: Path) -> str:
    """The address of the first page's debugger, once Chromium has written down its port."""
    from urllib.request import urlopen  # noqa: PLC0415

    def tab() -> str:
        lines = (folder / "DevToolsActivePort").read_text().splitlines()
        with urlopen(f"http://127.0.0.1:{lines[0]}/json/list", timeout=10) as reply:
            pages = [one for one in json.load(reply) if one["type"] == "page"]
        return str(pages[0]["webSocketDebuggerUrl"])

    return eventually(tab, 60, "a tab of Chromium", every=0.1, no=(OSError, IndexError))
