"""A tablet's browser and the gateway's own authority: who is trusted, and with what."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bulonera_sync.tls.authority import make_leaf, read_pair
from bulonera_sync.tls.files import Folder, machine_names
from bulonera_sync.tls.names import Names
from tests.end_to_end.browsers import BrowserError, browsing, require_chromium, trust

REGISTER = (
    "navigator.serviceWorker.register('/worker.js').then(() => navigator.serviceWorker.ready)"
)
REGISTERED = f"{REGISTER}.then(found => found.active.scriptURL)"
BANK = "www.bank.example"
NAMES = {"bulonera.local": "127.0.0.1", BANK: "127.0.0.1"}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    require_chromium()
    made = Folder(tmp_path / "tls")
    made.make(machine_names(), datetime.now(UTC))
    return made


async def page(request: web.Request) -> web.Response:
    return web.Response(text="<title>caja</title>", content_type="text/html")


async def worker(request: web.Request) -> web.Response:
    return web.Response(text="self.onfetch = () => {}", content_type="text/javascript")


@asynccontextmanager
async def till_page(chain: Path) -> AsyncIterator[int]:
    """Serve a till's page with this certificate; yields the port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain)
    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/worker.js", worker)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=context)
    try:
        assert server.port is not None
        yield server.port
    finally:
        await server.close()


@pytest.mark.parametrize("host", ["bulonera.local", "127.0.0.1"])
async def test_a_tablet_with_the_authority_gets_a_service_worker(
    tmp_path: Path, folder: Folder, host: str
) -> None:
    trust(tmp_path / "home", folder.authority_file)
    async with (
        till_page(folder.leaf_file) as port,
        browsing(tmp_path / "home", hosts=NAMES) as browser,
    ):
        tab = await browser.page(f"https://{host}:{port}/")
        registered = await tab.run(REGISTERED)

    assert registered == f"https://{host}:{port}/worker.js"


async def test_a_tablet_without_the_authority_refuses(tmp_path: Path, folder: Folder) -> None:
    async with (
        till_page(folder.leaf_file) as port,
        browsing(tmp_path / "home", hosts=NAMES) as browser,
    ):
        with pytest.raises(BrowserError, match="ERR_CERT_AUTHORITY_INVALID"):
            await browser.page(f"https://bulonera.local:{port}/")


async def test_a_stolen_authority_passes_for_no_bank(tmp_path: Path, folder: Folder) -> None:
    stolen = read_pair(folder.authority_file.read_bytes(), folder.key_file.read_bytes())
    forged = make_leaf(stolen, Names(frozenset({BANK}), frozenset()), datetime.now(UTC))
    chain = tmp_path / "forged.pem"
    chain.write_bytes(forged.key_pem + forged.certificate_pem + stolen.certificate_pem)
    trust(tmp_path / "home", folder.authority_file)
    async with till_page(chain) as port, browsing(tmp_path / "home", hosts=NAMES) as browser:
        with pytest.raises(BrowserError, match="ERR_CERT"):
            await browser.page(f"https://{BANK}:{port}/")
