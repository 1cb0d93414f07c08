"""The shop's name on its network: answered while the daemon runs, withdrawn at its end."""

import logging
import sys
from ipaddress import ip_address

import pytest
from zeroconf.asyncio import AsyncZeroconf

from bulonera_sync.config import ServerSettings
from bulonera_sync.server import announcing as module
from bulonera_sync.server.announcing import announcing

# A network that every machine has; the real ones are the machine's own.
HERE = [ip_address("127.0.0.1")]
OPEN = ServerSettings(host="0.0.0.0")  # noqa: S104 - as a shop sets it


@pytest.fixture
def on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_reachable", lambda _: HERE)


async def who_is(name: str) -> list[str]:
    """Ask the network for the addresses of the service and for its name."""
    asking = AsyncZeroconf(interfaces=["127.0.0.1"])
    kind = "_https._tcp.local."
    try:
        found = await asking.async_get_service_info(kind, f"bulonera.{kind}", 1_500)
        assert found is None or found.server == f"{name}."
        return found.parsed_addresses() if found else []
    finally:
        await asking.async_close()


async def test_the_name_is_answered_while_the_daemon_runs(on_loopback: None) -> None:
    async with announcing(OPEN, 8000, is_tls=True) as addresses:
        found = await who_is("bulonera.local")
    afterwards = await who_is("bulonera.local")

    assert addresses == HERE
    assert found == ["127.0.0.1"]
    assert afterwards == []


async def test_a_gateway_that_nobody_reaches_announces_nothing() -> None:
    async with announcing(ServerSettings(host="127.0.0.1"), 8000, is_tls=True) as addresses:
        assert addresses == ()


async def test_without_the_extra_nothing_happens(
    on_loopback: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zeroconf.asyncio", None)

    async with announcing(OPEN, 8000, is_tls=True) as addresses:
        assert addresses == ()


# The library leaves its listening socket to the collector when it can't be on the network.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
async def test_a_network_that_refuses_stops_no_daemon(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # An address of documentation, which no machine has.
    monkeypatch.setattr(module, "_reachable", lambda _: [ip_address("192.0.2.77")])

    with caplog.at_level(logging.WARNING, "bulonera_sync"):
        async with announcing(OPEN, 8000, is_tls=True) as addresses:
            assert addresses == ()

    assert "Name not announced" in caplog.text
