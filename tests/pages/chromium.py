"""A real browser for tests, driven over its debugging protocol: pages, clicks, keys, pictures, console."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp

BINARY = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)

KEYS = {
    "Tab": 9,
    "Enter": 13,
    "Escape": 27,
    " ": 32,
    "End": 35,
    "Home": 36,
    "ArrowLeft": 37,
    "ArrowRight": 39,
}


class Process:
    """A browser that runs until it is ended; each test opens a page of its own in it."""

    def __init__(self, profile: Path) -> None:
        assert BINARY is not None
        command = [BINARY, *OPTIONS, f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port_file = profile / "DevToolsActivePort"
        for _ in range(400):
            if port_file.is_file() and "\n" in port_file.read_text():
                break
            time.sleep(0.05)
        self.address = f"http://127.0.0.1:{port_file.read_text().splitlines()[0]}"

    def end(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)


class Browser:
    """One page of a browser; everything it asked for and said is kept."""

    def __init__(self, process: Process, size: tuple[int, int] = (1440, 900)) -> None:
        self.process = process
        self.size = size
        self.console: list[str] = []
        self.requests: list[str] = []
        self.sent: list[str] = []
        self._number = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def __aenter__(self) -> Browser:
        self._session = aiohttp.ClientSession()
        async with self._session.put(f"{self.process.address}/json/new?about:blank") as answer:
            page = await answer.json()
        self._page = page["id"]
        self._socket = await self._session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0)
        self._reading = asyncio.create_task(self._read())
        for domain in ("Page", "Runtime", "Network", "Log"):
            await self.call(f"{domain}.enable")
        await self.resize(*self.size)
        await self.call("Page.bringToFront")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self._socket.close()
        async with self._session.get(f"{self.process.address}/json/close/{self._page}"):
            pass
        await self._session.close()

    # --- the protocol --------------------------------------------------------------------------------------

    async def call(self, method: str, **given: Any) -> dict[str, Any]:
        """One command."""
        self._number += 1
        waiting = self._waiting[self._number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": self._number, "method": method, "params": given})
        async with asyncio.timeout(20):
            return await waiting

    async def _read(self) -> None:
        async for message in self._socket:
            told = json.loads(message.data)
            if "id" in told:
                waiting = self._waiting.pop(told["id"])
                if not waiting.done():
                    waiting.set_result(told.get("result", told))
            elif told["method"] == "Runtime.consoleAPICalled" and told["params"]["type"] in (
                "error",
                "warning",
            ):
                self.console.append(str(told["params"]["args"]))
            elif told["method"] == "Runtime.exceptionThrown":
                self.console.append(str(told["params"]["exceptionDetails"])[:800])
            elif told["method"] == "Log.entryAdded":
                self.console.append(
                    f"{told['params']['entry']['text']} {told['params']['entry'].get('url', '')}"
                )
            elif told["method"] == "Network.requestWillBeSent":
                self.requests.append(told["params"]["request"]["url"])
            elif told["method"] == "Network.webSocketFrameSent":
                self.sent.append(told["params"]["response"]["payloadData"])
            elif told["method"] == "Network.webSocketCreated":
                self.requests.append(told["params"]["url"])

    # --- the page ------------------------------------------------------------------------------------------

    async def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        told = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    async def until(self, script: str, seconds: float = 10) -> Any:
        """Wait until an expression is true in the page; its value."""
        end = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < end:
            # Between two documents there is none; an element itself is as good as true.
            asked = f"document.body ? ((v) => v instanceof Node || v)({script}) : null"
            told = await self.call("Runtime.evaluate", expression=asked, returnByValue=True)
            found = told.get("result", {}).get("value")
            if found and "exceptionDetails" not in told:
                return found
            await asyncio.sleep(0.03)
        text = await self.run("document.body.innerText.slice(0, 1500)")
        raise AssertionError(f"never true: {script}\nconsole: {self.console}\npage: {text}")

    async def open(self, address: str) -> None:
        """Go to an address."""
        await self.call("Page.navigate", url=address)

    async def press(self, key: str, text: str = "") -> None:
        """Press a key as a person would."""
        code = KEYS.get(key, ord(key[0].upper()))
        given = {"key": key, "code": key, "windowsVirtualKeyCode": code, "nativeVirtualKeyCode": code}
        text = text or ("\r" if key == "Enter" else key if len(key) == 1 else "")
        await self.call(
            "Input.dispatchKeyEvent",
            type="keyDown" if text else "rawKeyDown",
            **given,
            **({"text": text} if text else {}),
        )
        await self.call("Input.dispatchKeyEvent", type="keyUp", **given)

    async def click(self, selector: str) -> None:
        """Click where an element is; it must be visible and on top there."""
        await self.until(f"Boolean(document.querySelector({selector!r}))")
        await self.run(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center'}})")
        box = await self.run(
            f"(() => {{ const b = document.querySelector({selector!r}).getBoundingClientRect();"
            " return [b.x + b.width / 2, b.y + b.height / 2, b.width]; })()"
        )
        assert box[2] > 0, f"{selector} is not visible"
        for kind in ("mousePressed", "mouseReleased"):
            await self.call(
                "Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1
            )

    async def resize(self, width: int, height: int, *, phone: bool = False) -> None:
        """Make the window so large."""
        await self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                        mobile=phone)  # fmt: skip

    async def picture(self, path: Path, *, whole: bool = False) -> Path:
        """Keep what is to be seen."""
        told = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(told["data"]))
        return path
