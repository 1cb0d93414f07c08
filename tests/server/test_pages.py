"""The API's page: from files in the package, and nothing from anywhere else."""

import re

from bulonera_sync.server.pages import ASSETS, STATIC
from tests.http import Daemon

OTHER_ORIGIN = re.compile(r"(?:src|href|action)=[\"']?(?:https?:)?//|url\([\"']?(?:https?:)?//")


async def test_the_page_lets_the_browser_ask_nobody_else(daemon: Daemon) -> None:
    page = await daemon.till_of(None).get("/api/docs/")

    assert page.status == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = dict(
        each.strip().split(" ", 1) for each in page.headers["Content-Security-Policy"].split(";")
    )
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert not OTHER_ORIGIN.search(page.text)


async def test_all_that_the_page_names_is_served(daemon: Daemon) -> None:
    nobody = daemon.till_of(None)
    page = await nobody.get("/api/docs")

    named = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)

    assert {path.removeprefix("/api/docs/") for path in named} == {*ASSETS, "/api/schema/"}
    for path in named:
        answer = await nobody.get(path)
        assert answer.status == 200
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_no_other_file_is_served(daemon: Daemon) -> None:
    nobody = daemon.till_of(None)

    for name in ("page.html", "..%2fpages.py", "swagger-ui.LICENSE.txt", "%00", "none.js"):
        assert (await nobody.get(f"/api/docs/{name}")).status == 404


def test_the_library_comes_with_its_license() -> None:
    assert "Apache License" in (STATIC / "swagger-ui.LICENSE.txt").read_text("utf-8")
