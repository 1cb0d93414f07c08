"""A daemon whose clock and jobs stand still: the test moves the one and steps the other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aiohttp import ClientSession, web

from bulonera_sync.config import RetrySettings
from bulonera_sync.gateway import Gateway, open_gateway
from bulonera_sync.server.app import make_app
from tests.conftest import make_settings
from tests.factories import CUSTOMERS, PRODUCTS
from tests.http import Daemon

NOON = datetime(2026, 2, 16, 12, tzinfo=UTC)


@dataclass
class Clock:
    """What `open_gateway` takes as its clock."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Chance:
    """What `open_gateway` takes as its chance: 1 makes every delay as long as it may be."""

    value: float = 1.0

    def __call__(self) -> float:
        return self.value


async def step(gateway: Gateway) -> int:
    """Let the worker do all that is due now; return how many sales it judged."""
    judged = 0
    while done := await gateway.retry_due():
        judged += len(done)
    return judged


@asynccontextmanager
async def stopped_daemon(
    store_url: str,
    clock: Clock,
    chance: Chance,
    *,
    retry: RetrySettings | None = None,
    **sync: object,
) -> AsyncIterator[Daemon]:
    """Serve the test's database over HTTP without the daemon's jobs."""
    settings = make_settings(store_url, **sync)
    settings = settings.model_copy(update={"retry": retry or RetrySettings()})
    async with open_gateway(settings, clock=clock, chance=chance) as gateway:
        await gateway.import_rows("customers", CUSTOMERS)
        await gateway.import_rows("products", PRODUCTS)
        runner = web.AppRunner(make_app(gateway), access_log=None, auto_decompress=False)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0][:2]
            async with ClientSession() as http:
                yield Daemon(gateway, f"http://{host}:{port}", http)
        finally:
            await runner.cleanup()
