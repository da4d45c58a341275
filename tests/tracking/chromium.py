"""A headless Chromium, spoken to through its DevTools protocol."""

import asyncio
import base64
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

PATIENCE = 90.0


class Page:
    """What a person sees of a page."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._calls = socket, 0
        self.errors: list[str] = []

    async def open(self, url: str, shows: str) -> str:
        """Open an address; the page's text, once that shows what it should."""
        await self._call("Page.navigate", url="about:blank")  # an address that differs after its # alone loads nothing
        await self._call("Page.navigate", url=url)
        return await self.text(shows)

    async def click(self, text: str, shows: str) -> str:
        """Click on what says exactly this; the page's text, once that shows what it should."""
        say = f"[...document.querySelectorAll('div,span,a,button')].filter(e => e.innerText?.trim() === {text!r}).pop()"
        await self._value(f"{say}.click()")
        return await self.text(shows)

    async def text(self, shows: str) -> str:
        """The page's text, once that shows something."""
        for _ in range(round(PATIENCE / 0.5)):
            text = str(await self._value("document.body?.innerText ?? ''"))
            if shows in text:
                return text
            await asyncio.sleep(0.5)
        raise AssertionError(f"{shows!r} does not appear in {text!r}")

    async def pictures(self) -> list[int]:
        """Widths of the pictures that are loaded, in pixels."""
        widths: list[int] = await self._value("[...document.images].map(image => image.naturalWidth)")
        return widths

    async def screenshot(self, path: Path) -> None:
        """Write what is seen to a PNG."""
        path.write_bytes(base64.b64decode((await self._call("Page.captureScreenshot", format="png"))["data"]))

    async def _value(self, expression: str) -> Any:
        return (await self._call("Runtime.evaluate", expression=expression, returnByValue=True))["result"].get("value")

    async def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._calls += 1
        await self._socket.send_json({"id": self._calls, "method": method, "params": parameters})
        while True:
            said = await self._socket.receive_json()
            if said.get("method") == "Runtime.exceptionThrown":
                self.errors.append(str(said["params"]["exceptionDetails"]))
            if said.get("id") == self._calls:
                result: dict[str, Any] = said["result"]
                return result


@asynccontextmanager
async def chromium(program: str, profile: Path, width: int, height: int) -> AsyncIterator[Page]:
    """A page of a browser of its own, which ends with it.

    Args:
        program: The browser.
        profile: Where it keeps its state; a new folder.
        width: Of the window, in pixels.
        height: Of the window.
    """
    command = [
        *(program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0"),
        *(f"--window-size={width},{height}", f"--user-data-dir={profile}", "about:blank"),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as browser:
        try:
            port = next(found[1] for line in browser.stderr if (found := re.search(r"ws://[^/]*:(\d+)/", line)))
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    (page,) = [tab for tab in await answer.json() if tab["type"] == "page"]
                async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                    shown = Page(socket)
                    await shown._call("Runtime.enable")
                    yield shown
        finally:
            browser.terminate()
