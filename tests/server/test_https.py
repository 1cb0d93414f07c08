"""The gateway over HTTPS, and its certificate changed under the tills' hands."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import ClientSession, TCPConnector
from cryptography.hazmat.primitives.serialization import Encoding
from time_machine import travel

from bulonera_sync.config import ServerSettings, Settings
from bulonera_sync.errors import RefusedError
from bulonera_sync.gateway import Gateway, open_gateway
from bulonera_sync.server.certificates import ServedCertificate, certificate_for
from bulonera_sync.server.runner import serving
from bulonera_sync.tls.files import Folder, machine_names
from bulonera_sync.tls.names import leaf_in
from tests.factories import make_sale
from tests.http import Till


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path / "tls")
    made.make(machine_names(), datetime.now(UTC))
    return made


@pytest.fixture
async def secured(settings: Settings, folder: Folder) -> AsyncIterator[Gateway]:
    """An open gateway with certificates of its own."""
    server = settings.server.model_copy(update={"tls_folder": folder.path, "tls_page_port": 0})
    async with open_gateway(settings.model_copy(update={"server": server})) as opened:
        yield opened


def trusting(folder: Folder) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=folder.authority_file)


async def leaf_seen(address: str, context: ssl.SSLContext) -> bytes:
    """Return the leaf that a new connection is shown."""
    host, port = address.removeprefix("https://").rsplit(":", 1)
    _, writer = await asyncio.open_connection(host, int(port), ssl=context)
    shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return shown


async def test_a_gateway_with_certificates_answers_over_https(
    secured: Gateway, folder: Folder
) -> None:
    async with (
        serving(secured) as address,
        ClientSession(connector=TCPConnector(ssl=trusting(folder))) as http,
    ):
        ready = await Till(http, address, None).get("/readyz")

    assert address.startswith("https://127.0.0.1:")
    assert ready.status == 200


async def test_a_renewed_leaf_is_taken_up_without_losing_a_connection(
    secured: Gateway, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulonera_sync.server.schedule.CERTIFICATE_SECONDS", 0.05)
    _, issued = await secured.add_user("ana", "cashier")
    assert issued is not None
    statuses: list[int] = []
    is_over = asyncio.Event()

    async def keep_sending(http: ClientSession, address: str) -> None:
        till = Till(http, address, issued.token)
        while not is_over.is_set():
            answer = await till.upload(make_sale())
            assert answer.json["summary"]["total"] == 1
            statuses.append(answer.status)

    async def until_another(address: str, former: bytes) -> bytes:
        while True:
            shown = await leaf_seen(address, trusting(folder))
            if shown != former:
                return shown

    keeping = TCPConnector(ssl=trusting(folder), limit=4)
    renewing = TCPConnector(ssl=trusting(folder), force_close=True)
    async with (
        serving(secured) as address,
        ClientSession(connector=keeping) as kept,
        ClientSession(connector=renewing) as fresh,
        asyncio.timeout(30),
        asyncio.TaskGroup() as tills,
    ):
        for http in (kept, kept, kept, kept, fresh, fresh):
            tills.create_task(keep_sending(http, address))
        shown = await leaf_seen(address, trusting(folder))
        for _ in range(3):
            folder.renew(machine_names(), datetime.now(UTC))
            shown = await until_another(address, shown)
        is_over.set()

    assert shown == folder.leaf().public_bytes(Encoding.DER)
    # 400 is a judged sale too: this shop has no catalogue.
    assert set(statuses) == {400}


@pytest.fixture
def own(folder: Folder) -> ServedCertificate:
    found = certificate_for(ServerSettings(tls_folder=folder.path))
    assert found is not None
    return found


async def test_a_leaf_near_its_end_is_renewed_by_the_daemon(
    own: ServedCertificate, folder: Folder
) -> None:
    before = folder.leaf()
    await own.follow()
    assert folder.leaf() == before

    with travel(before.not_valid_after_utc, tick=False):
        await own.follow()

    assert folder.leaf().not_valid_after_utc > before.not_valid_after_utc


async def test_files_that_cant_be_used_leave_the_old_certificate_in_force(
    own: ServedCertificate, folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    leaf_in(folder.path).write_text("nothing")

    await own.follow()
    await own.follow()

    assert [each.message for each in caplog.records].count("Certificate not taken up") == 1


def test_a_persons_own_certificate_counts_before_the_gateways(folder: Folder) -> None:
    nowhere = folder.path / "none.pem"
    settings = ServerSettings(tls_cert=nowhere, tls_key=nowhere, tls_folder=folder.path)

    with pytest.raises(RefusedError, match=r"none\.pem"):
        certificate_for(settings)


def test_without_certificates_there_is_no_https(tmp_path: Path) -> None:
    assert certificate_for(ServerSettings(tls_folder=tmp_path)) is None


def test_old_protocols_are_refused(own: ServedCertificate) -> None:
    assert own.context.minimum_version == ssl.TLSVersion.TLSv1_2
