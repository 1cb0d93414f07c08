"""Answering to `bulonera.local` on the shop's network (mDNS), where the extra `lan` is there."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bulonera_sync.config import ServerSettings
from bulonera_sync.tls.names import SHOP_NAME, Address, is_loopback, reached_at

if TYPE_CHECKING:
    from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

logger = logging.getLogger("bulonera_sync")

CLOSE_SECONDS = 2.0


@asynccontextmanager
async def announcing(
    settings: ServerSettings, port: int, *, is_tls: bool
) -> AsyncIterator[Sequence[Address]]:
    """Answer to the shop's name while the block runs; yields the addresses that it stands for.

    None where nobody on the network could reach the gateway, or without the extra. What goes
    wrong with it is logged: tills that know the address need no name.
    """
    addresses = await asyncio.to_thread(_reachable, settings)
    zeroconf = await _begin(addresses, port, is_tls=is_tls) if addresses else None
    if zeroconf is None:
        yield ()
        return
    try:
        yield addresses
    finally:
        await _end(zeroconf)


def _reachable(settings: ServerSettings) -> Sequence[Address]:
    if is_loopback(settings.host):
        return ()
    # Only here, and large.
    from bulonera_sync.tls.files import machine_names, outward_address  # noqa: PLC0415

    return reached_at(machine_names(), settings.host, outward_address())


async def _begin(
    addresses: Sequence[Address], port: int, *, is_tls: bool
) -> "AsyncZeroconf | None":
    try:
        from zeroconf import Error  # noqa: PLC0415 - an extra
        from zeroconf.asyncio import AsyncZeroconf  # noqa: PLC0415
    except ImportError:
        return None
    zeroconf: AsyncZeroconf | None = None
    try:
        zeroconf = AsyncZeroconf(interfaces=list(map(str, addresses)))
        await zeroconf.async_register_service(_service(addresses, port, is_tls=is_tls))
    except (OSError, RuntimeError, Error) as error:
        logger.warning("Name not announced", extra={"host": SHOP_NAME, "error": str(error)})
        if zeroconf is not None:
            await _end(zeroconf)
        return None
    logger.info("Name announced", extra={"host": SHOP_NAME, "port": port})
    return zeroconf


def _service(addresses: Sequence[Address], port: int, *, is_tls: bool) -> "AsyncServiceInfo":
    from zeroconf.asyncio import AsyncServiceInfo  # noqa: PLC0415

    kind = "_https._tcp.local." if is_tls else "_http._tcp.local."
    return AsyncServiceInfo(
        kind,
        f"bulonera.{kind}",
        addresses=[each.packed for each in addresses],
        port=port,
        server=f"{SHOP_NAME}.",
    )


async def _end(zeroconf: "AsyncZeroconf") -> None:
    from zeroconf import Error  # noqa: PLC0415

    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await zeroconf.async_unregister_all_services()
            await zeroconf.async_close()
    except (OSError, TimeoutError, Error) as error:
        logger.warning("Name not withdrawn", extra={"host": SHOP_NAME, "error": str(error)})
