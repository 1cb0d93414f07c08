"""The API's page in a real browser: read offline, on a phone, in the dark, from the keyboard."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.documented import DOCUMENT
from tests.end_to_end.browsers import Page, browsing, require_chromium
from tests.http import Daemon

PHONE = 390
OPERATIONS = sum(len(item) for item in DOCUMENT["paths"].values())

pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


@asynccontextmanager
async def opened(daemon: Daemon, home: Path, place: str = "") -> AsyncIterator[Page]:
    """Open the page in a browser to which every name but the gateway's leads nowhere."""
    require_chromium()
    async with browsing(home, hosts={"*": "~NOTFOUND, EXCLUDE 127.0.0.1"}) as browser:
        page = await browser.page()
        await page.resize(PHONE, 844)
        await page.go(f"{daemon.address}/api/docs/{place}")
        await until(page, f"document.querySelectorAll('.opblock').length === {OPERATIONS}")
        yield page


async def until(page: Page, condition: str) -> None:
    async with asyncio.timeout(20):
        while not await page.run(condition):
            pass


async def test_it_shows_every_endpoint_and_asks_nobody_else(daemon: Daemon, tmp_path: Path) -> None:
    async with opened(daemon, tmp_path, "#/Sync/upload") as page:
        await until(page, "document.querySelector('.opblock.is-open .highlight-code') !== null")

        asked = [url for url in page.requested if not url.startswith("data:")]

        assert asked
        assert all(url.startswith(f"{daemon.address}/") for url in asked)
        # What the policy refuses is told there.
        assert page.said == []


async def test_a_phone_shows_it_without_scrolling_sideways(daemon: Daemon, tmp_path: Path) -> None:
    async with opened(daemon, tmp_path, "#/Sync/resolve") as page:
        await until(page, "document.querySelector('.opblock.is-open .highlight-code') !== null")

        root = "document.documentElement"
        assert await page.run(f"{root}.scrollWidth <= {root}.clientWidth")


async def test_it_is_dark_where_the_reader_is(daemon: Daemon, tmp_path: Path) -> None:
    async with opened(daemon, tmp_path) as page:
        light = await page.run("getComputedStyle(document.documentElement).backgroundColor")
        await page.tell(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark"}],
        )
        await until(page, "document.documentElement.classList.contains('dark-mode')")

        dark = await page.run("getComputedStyle(document.documentElement).backgroundColor")

        assert light != dark


async def test_the_keyboard_opens_an_endpoint(daemon: Daemon, tmp_path: Path) -> None:
    async with opened(daemon, tmp_path) as page:
        await page.run("document.querySelector('.opblock-summary-control').focus()")
        for kind in ("keyDown", "keyUp"):
            await page.tell(
                "Input.dispatchKeyEvent",
                type=kind,
                key="Enter",
                code="Enter",
                windowsVirtualKeyCode=13,
                **({"text": "\r"} if kind == "keyDown" else {}),
            )

        await until(page, "document.querySelector('.opblock.is-open') !== null")
