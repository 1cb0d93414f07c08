"""HTTPS as a shop has it: `tls init`, `serve`, `tls renew`, each a process of its own."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
from aiohttp import ClientSession, TCPConnector

from tests.end_to_end.processes import run, serving_process
from tests.store.databases import ON_SQLITE

pytestmark = ON_SQLITE

WITHIN_SECONDS = 30


def leaf_of(port: int, context: ssl.SSLContext) -> bytes:
    """Return the certificate that the daemon shows a new connection."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        found = secure.getpeercert(binary_form=True)
    assert found is not None
    return found


@pytest.fixture
def environment(store_url: str) -> dict[str, str]:
    return {"BULONERA_STORE__URL": store_url, "BULONERA_SERVER__TLS_PAGE_PORT": "0"}


async def test_a_daemon_serves_with_its_own_authority_and_takes_up_a_renewal(
    environment: dict[str, str], tmp_path: Path
) -> None:
    assert (await run(tmp_path, "tls", "init", **environment))[0] == 0
    trusting = ssl.create_default_context(cafile=str(tmp_path / "tls" / "ca.crt"))

    async with serving_process(tmp_path, "--port", "0", **environment) as daemon:
        async with (
            ClientSession(connector=TCPConnector(ssl=trusting)) as http,
            http.get(f"https://localhost:{daemon.port}/readyz") as answer,
        ):
            status = answer.status
        first = await asyncio.to_thread(leaf_of, daemon.port, trusting)
        assert (await run(tmp_path, "tls", "renew", **environment))[0] == 0
        async with asyncio.timeout(WITHIN_SECONDS):
            while (  # noqa: ASYNC110 - another process renews
                leaf := await asyncio.to_thread(leaf_of, daemon.port, trusting)
            ) == first:
                await asyncio.sleep(0.1)
        code = await daemon.end()

    assert daemon.address.startswith("https://")
    assert status == 200
    assert leaf != first
    assert code == 0


# Python itself warns of the old version that is tried.
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_an_old_tls_and_an_unknown_authority_get_no_connection(
    environment: dict[str, str], tmp_path: Path
) -> None:
    await run(tmp_path, "tls", "init", **environment)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    # As far down as OpenSSL still speaks it: what refuses must be the daemon.
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1

    async with serving_process(tmp_path, "--port", "0", **environment) as daemon:
        with pytest.raises(ssl.SSLError, match=r"(?i)version|protocol|alert"):
            await asyncio.to_thread(leaf_of, daemon.port, old)
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.to_thread(leaf_of, daemon.port, ssl.create_default_context())
