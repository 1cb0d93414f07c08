"""A real browser as a tablet has it: headless Chromium, driven through its DevTools protocol.

Each browser has a home of its own: no cache, no cookie, no certificate but those it is given.
"""

import asyncio
import base64
import os
import re
import signal
import subprocess
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from tests.needs import need_program

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 30
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)
# Where Chromium looks for what its user trusts, by its age.
NSS_FOLDERS = (".pki/nssdb", ".local/share/pki/nssdb")

Document = dict[str, Any]


def require_chromium() -> Path:
    """Return the browser's program, or end the test as `needs.give_up` does."""
    return need_program(*NAMES, package="chromium")


def trust(home: Path, certificate: Path) -> None:
    """Install a certificate authority, a PEM file, for the browser that lives in `home`."""
    certutil = need_program("certutil", package="libnss3-tools")
    for name in NSS_FOLDERS:
        folder = home / name
        folder.mkdir(parents=True, exist_ok=True)
        store = f"sql:{folder}"
        subprocess.run([certutil, "-d", store, "-N", "--empty-password"], check=True)
        install = ["-A", "-t", "C,,", "-n", certificate.stem, "-i", str(certificate)]
        subprocess.run([certutil, "-d", store, *install], check=True)


class BrowserError(Exception):
    """The browser would not; the text is its own, such as net::ERR_CERT_AUTHORITY_INVALID."""


@dataclass
class Page:
    """One tab. `requested` are the addresses it asked for, `said` what its console said."""

    _line: "DevTools"
    _session: str
    requested: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    _loaded: asyncio.Event = field(default_factory=asyncio.Event)

    async def tell(self, method: str, **arguments: object) -> Document:
        """Send a command of the DevTools protocol; return its result."""
        return await self._line.tell(method, self._session, **arguments)

    async def go(self, url: str) -> None:
        """Open an address and wait until it is loaded; raises `BrowserError` with the reason."""
        self._loaded.clear()
        answer = await self.tell("Page.navigate", url=url)
        if answer.get("errorText"):
            raise BrowserError(answer["errorText"])
        async with asyncio.timeout(SECONDS):
            await self._loaded.wait()

    async def run(self, script: str) -> Any:
        """Return what an expression comes to, a promise kept, as JSON has it."""
        answer = await self.tell(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise BrowserError(details.get("exception", details).get("description", str(details)))
        return answer["result"].get("value")

    async def resize(self, width: int, height: int) -> None:
        """Give the page a screen of so many pixels, a phone's or a tablet's."""
        await self.tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    async def picture(self, file: Path) -> None:
        """Write the whole page, also what is below the screen's edge, as a PNG."""
        answer = await self.tell("Page.captureScreenshot", captureBeyondViewport=True)
        await asyncio.to_thread(file.write_bytes, base64.b64decode(answer["data"]))

    def hear(self, event: Document) -> None:
        """Take note of something that happened in the tab."""
        match event:
            case {"method": "Network.requestWillBeSent", "params": {"request": {"url": url}}}:
                self.requested.append(url)
            case {"method": "Runtime.consoleAPICalled", "params": {"args": words}}:
                self.said.append(" ".join(str(each.get("value")) for each in words))
            case {"method": "Log.entryAdded", "params": {"entry": {"text": text}}}:
                self.said.append(text)
            case {"method": "Page.loadEventFired"}:
                self._loaded.set()
            case _:
                pass


class DevTools:
    """The protocol's connection: commands that are answered, events that go to their page."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = count(1)
        self._asked: dict[int, asyncio.Future[Document]] = {}
        self.hearers: dict[str, Callable[[Document], None]] = {}

    async def tell(self, method: str, session: str | None = None, **arguments: object) -> Document:
        """Send a command to the browser, or to the page of a session; return its result."""
        key = next(self._ids)
        answered = self._asked[key] = asyncio.get_running_loop().create_future()
        command: Document = {"id": key, "method": method, "params": arguments}
        if session is not None:
            command["sessionId"] = session
        await self._socket.send_json(command)
        async with asyncio.timeout(SECONDS):
            answer = await answered
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']['message']}")
        result: Document = answer["result"]
        return result

    async def listen(self) -> None:
        """Hand out what arrives until the connection ends."""
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                break
            document = message.json()
            if "id" in document:
                answered = self._asked.pop(document["id"])
                # Who asked may have given up.
                if not answered.done():
                    answered.set_result(document)
            elif document.get("sessionId") in self.hearers:
                self.hearers[document["sessionId"]](document)
        for waiting in self._asked.values():
            if not waiting.done():
                waiting.set_exception(BrowserError("the browser ended"))


class Browser:
    """A running browser."""

    def __init__(self, line: DevTools) -> None:
        self._line = line

    async def page(self, url: str = "about:blank") -> Page:
        """Return a new tab with an address; raises `BrowserError` when it can't be opened."""
        target = await self._line.tell("Target.createTarget", url="about:blank")
        attached = await self._line.tell(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        page = Page(self._line, attached["sessionId"])
        self._line.hearers[attached["sessionId"]] = page.hear
        for domain in ("Page", "Runtime", "Network", "Log"):
            await page.tell(f"{domain}.enable")
        if url != "about:blank":
            await page.go(url)
        return page


@asynccontextmanager
async def browsing(
    home: Path, *, hosts: Mapping[str, str] | None = None, language: str = "es-AR"
) -> AsyncIterator[Browser]:
    """Run Chromium in a home of its own while the block runs.

    `hosts` maps names to addresses, in place of a DNS. `language` is what it asks pages for.
    """
    program = require_chromium()
    profile = home / "profile"
    profile.mkdir(parents=True)
    rules = ", ".join(f"MAP {name} {address}" for name, address in (hosts or {}).items())
    process = await asyncio.create_subprocess_exec(
        program,
        *SWITCHES,
        f"--user-data-dir={profile}",
        f"--host-resolver-rules={rules}",
        f"--accept-lang={language}",
        "about:blank",
        env={**os.environ, "HOME": str(home), "XDG_DATA_HOME": str(home / ".local/share")},
        stdout=DEVNULL,
        stderr=PIPE,
        # A browser is many processes; they end together.
        start_new_session=True,
    )
    try:
        async with (
            ClientSession() as http,
            http.ws_connect(await _debugger(process), max_msg_size=0) as socket,
        ):
            line = DevTools(socket)
            listening = asyncio.create_task(line.listen())
            draining = asyncio.create_task(process.communicate())
            yield Browser(line)
            await line.tell("Browser.close")
            await asyncio.wait((listening, draining))
    finally:
        await _ended(process)


async def _debugger(process: Process) -> str:
    """Return the address of the browser's own DevTools, which it tells when it is ready."""
    assert process.stderr is not None
    async with asyncio.timeout(SECONDS):
        async for line in process.stderr:
            found = re.search(r"DevTools listening on (ws://\S+)", line.decode())
            if found:
                return found[1]
    raise BrowserError("the browser ended before it was ready")


async def _ended(process: Process) -> None:
    try:
        async with asyncio.timeout(5):
            await process.communicate()
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()
