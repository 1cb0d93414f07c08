"""The browser that other tests lean on does what they think."""

from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.end_to_end.browsers import BrowserError, browsing, require_chromium


async def greet(request: web.Request) -> web.Response:
    page = f"<title>{request.host}</title><img src=/missing>"
    return web.Response(text=page, content_type="text/html")


async def test_a_page_is_opened_by_its_name_asked_looked_at_and_listened_to(
    tmp_path: Path,
) -> None:
    app = web.Application()
    app.router.add_get("/", greet)
    async with (
        TestServer(app) as server,
        browsing(tmp_path / "home", hosts={"shop.example": "127.0.0.1"}) as browser,
    ):
        url = f"http://shop.example:{server.make_url('/').port}/"
        page = await browser.page(url)
        title = await page.run("document.title")
        await page.picture(tmp_path / "page.png")

    assert f"http://{title}/" == url
    assert {url, f"{url}missing"} <= set(page.requested)
    assert any("404" in line for line in page.said)
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")


async def test_an_address_that_cant_be_opened_tells_why(tmp_path: Path) -> None:
    async with browsing(tmp_path / "home") as browser:
        with pytest.raises(BrowserError, match="ERR_CONNECTION_REFUSED"):
            await browser.page("http://127.0.0.1:65535/")


def test_a_missing_browser_fails_in_ci_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="chromium"):
        require_chromium()
    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception, match="chromium"):
        require_chromium()
