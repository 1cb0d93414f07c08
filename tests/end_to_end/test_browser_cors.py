"""A page of the shop's own web server uploads to the gateway, in a real browser."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.end_to_end.browsers import Page, browsing
from tests.end_to_end.processes import furnish, on_store, serving_process, stored_sales
from tests.factories import make_sale
from tests.http import SYNC

HEADERS = ["Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"]

# What the gateway says to browsers does not come from the store.
pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


@pytest.fixture
async def origin() -> AsyncIterator[str]:
    """A web server of the shop with an empty page, on an origin of its own."""

    async def show(_: web.Request) -> web.Response:
        return web.Response(text="<title>Caja</title>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", show)
    async with TestServer(app) as server:
        yield f"http://127.0.0.1:{server.port}"


async def upload_from(page: Page, address: str, token: str, sale: object) -> Any:
    """Upload as the guide's page does; return status, body and headers, or the page's error."""
    request = {
        "method": "POST",
        "headers": {"Authorization": f"Token {token}", "Content-Type": "application/json"},
        "body": json.dumps({"sales": [sale]}),
    }
    return await page.run(
        f"""fetch({json.dumps(f"{address}{SYNC}/upload/")}, {json.dumps(request)}).then(
            async answer => ({{
                status: answer.status,
                body: await answer.json(),
                headers: {json.dumps(HEADERS)}.map(name => answer.headers.get(name)),
            }}),
            error => ({{error: String(error)}}),
        )"""
    )


async def test_a_page_on_a_listed_origin_uploads_and_reads_when_to_come_again(
    tmp_path: Path, store_url: str, origin: str
) -> None:
    [token] = await furnish(store_url, "ana")
    environment = {
        **on_store(store_url),
        "BULONERA_SYNC__THROTTLE": "1/hour",
        "BULONERA_SERVER__CORS_ORIGINS": origin,
    }
    sale = make_sale()
    async with (
        serving_process(tmp_path, **environment) as daemon,
        browsing(tmp_path / "home") as browser,
    ):
        page = await browser.page(f"{origin}/")

        taken = await upload_from(page, daemon.address, token, sale)
        throttled = await upload_from(page, daemon.address, token, make_sale())
        unknown = await upload_from(page, daemon.address, "bad", make_sale())

    assert (taken["status"], taken["body"]["results"][0]["status"]) == (200, "success")
    assert taken["headers"] == [None, "1", "0", "3600"]
    assert throttled["status"] == 429
    wait = int(throttled["headers"][0])
    assert 3590 <= wait <= 3600
    assert throttled["body"]["detail"].endswith(f"available in {wait} seconds.")
    assert throttled["headers"][1:3] == ["1", "0"]
    assert (unknown["status"], unknown["body"]) == (401, {"detail": "Invalid token."})
    assert [each.local_id for each in await stored_sales(store_url)] == [sale["local_id"]]


@pytest.mark.parametrize("listed", ["", "http://caja.example"])
async def test_a_page_on_another_origin_is_refused(
    tmp_path: Path, store_url: str, origin: str, listed: str
) -> None:
    [token] = await furnish(store_url, "ana")
    environment = {**on_store(store_url), "BULONERA_SERVER__CORS_ORIGINS": listed}
    async with (
        serving_process(tmp_path, **environment) as daemon,
        browsing(tmp_path / "home") as browser,
    ):
        page = await browser.page(f"{origin}/")

        refused = await upload_from(page, daemon.address, token, make_sale())

    assert refused == {"error": "TypeError: Failed to fetch"}
    assert any("CORS" in line for line in page.said), page.said
    assert await stored_sales(store_url) == []
