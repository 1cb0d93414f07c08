"""The page from which a tablet installs the authority, as its browser shows it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import ClientSession

from bulonera_sync.config import ServerSettings
from bulonera_sync.server.certificates import certificate_for
from bulonera_sync.server.installing import offering
from bulonera_sync.tls.authority import fingerprint
from bulonera_sync.tls.files import Folder, machine_names
from tests.end_to_end.browsers import browsing


@pytest.fixture
def settings(tmp_path: Path) -> ServerSettings:
    Folder(tmp_path / "tls").make(machine_names(), datetime.now(UTC))
    return ServerSettings(tls_folder=tmp_path / "tls", tls_page_port=0)


@pytest.mark.parametrize(("language", "title"), [("es-AR", "segura"), ("en-US", "Secure")])
async def test_the_page_shows_the_fingerprint_and_asks_nobody_else(
    tmp_path: Path, settings: ServerSettings, language: str, title: str
) -> None:
    async with (
        offering(settings, certificate_for(settings)) as address,
        browsing(tmp_path / "home", language=language) as browser,
    ):
        page = await browser.page(f"{address}/")
        await page.resize(412, 900)
        text = await page.run("document.body.innerText")
        colour = await page.run("getComputedStyle(document.querySelector('a')).backgroundColor")
        is_wide = await page.run("document.documentElement.scrollWidth > 412")
        await page.picture(tmp_path / "page.png")

    assert title.lower() in text.lower()
    assert fingerprint(Folder(settings.tls_folder).authority()) in text
    assert colour == "rgb(11, 87, 208)"
    assert not is_wide
    assert not [line for line in page.said if "Content Security Policy" in line]
    assert all(url.startswith(f"{address}/") for url in page.requested)


async def test_the_plain_port_serves_the_authority_and_nothing_else(
    settings: ServerSettings,
) -> None:
    async with (
        offering(settings, certificate_for(settings)) as address,
        ClientSession() as http,
        http.get(f"{address}/ca.crt") as certificate,
        http.get(f"{address}/ca.key") as key,
        http.get(f"{address}/api/v1/sales/sync/pending/") as sales,
    ):
        body = await certificate.read()

    assert body == Folder(settings.tls_folder).authority_file.read_bytes()
    assert certificate.content_type == "application/x-x509-ca-cert"
    assert (key.status, sales.status) == (404, 404)


async def test_a_new_authority_is_offered_without_a_restart(settings: ServerSettings) -> None:
    folder = Folder(settings.tls_folder)
    async with (
        offering(settings, certificate_for(settings)) as address,
        ClientSession() as http,
    ):
        before = await (await http.get(f"{address}/ca.crt")).read()
        folder.make(machine_names(), datetime.now(UTC), over=True)
        after = await (await http.get(f"{address}/ca.crt")).read()
        text = await (await http.get(f"{address}/")).text()

    assert before != after == folder.authority_file.read_bytes()
    assert fingerprint(folder.authority()) in text


async def test_an_authority_that_went_missing_is_told_and_logged(
    settings: ServerSettings, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        offering(settings, certificate_for(settings)) as address,
        ClientSession() as http,
    ):
        Folder(settings.tls_folder).authority_file.unlink()
        async with http.get(f"{address}/ca.crt") as answer:
            status, text = answer.status, await answer.text()

    assert (status, text) == (503, "bulonera-sync tls show")
    assert "Authority not offered" in caplog.text
