"""Daemons in processes of their own, and what a test sees of their database from outside."""

import asyncio
import os
import signal
import sqlite3
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
from aiohttp import ClientSession, ClientTimeout, TCPConnector

from bulonera_sync.config import Settings, StoreSettings
from bulonera_sync.gateway import open_gateway
from tests.factories import CUSTOMERS, PRODUCTS

PROGRAM = (sys.executable, "-m", "bulonera_sync")
END_SECONDS = 10


@dataclass
class DaemonProcess:
    """A running daemon: its process, its address, the lines it printed until it was ready."""

    process: Process
    address: str = ""
    lines: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.address.rsplit(":", 1)[1])

    def tell(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and return the exit code, which must come within 10 s."""
        self.tell(number)
        return await self.ended()

    async def ended(self) -> int:
        async with asyncio.timeout(END_SECONDS):
            return await self.process.wait()


async def run(folder: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run a command to its end; return its exit code, its stdout and its stderr."""
    process = await _start(folder, arguments, environment)
    out, err = await process.communicate()
    return await process.wait(), out.decode(), err.decode()


async def _start(folder: Path, arguments: tuple[str, ...], environment: dict[str, str]) -> Process:
    return await asyncio.create_subprocess_exec(
        *PROGRAM,
        *arguments,
        stdout=PIPE,
        stderr=PIPE,
        cwd=folder,
        env={**os.environ, **environment},
    )


@asynccontextmanager
async def serving_process(
    folder: Path, *arguments: str, **environment: str
) -> AsyncIterator[DaemonProcess]:
    """Run `serve` in a folder until the block ends; it is ready when the block begins."""
    process = await _start(folder, ("serve", *arguments), environment)
    try:
        yield await _ready(process)
    finally:
        if process.returncode is None:
            process.kill()
        # Reads what is left: nothing stays open, whatever the test left unread.
        await process.communicate()


async def _ready(process: Process) -> DaemonProcess:
    daemon = DaemonProcess(process)
    assert process.stdout is not None
    async for raw in process.stdout:
        daemon.lines.append(raw.decode().rstrip("\n"))
        if daemon.lines[-1].startswith("Ready at "):
            daemon.address = daemon.lines[-1].split()[2]
            return daemon
    _, err = await process.communicate()
    raise AssertionError(f"serve ended before it was ready: {err.decode()}")


def on_store(store_url: str) -> dict[str, str]:
    """Return the environment of a daemon on this database, the throttle off and a free port."""
    return {
        "BULONERA_STORE__URL": store_url,
        "BULONERA_SYNC__THROTTLE": "off",
        "BULONERA_SERVER__PORT": "0",
    }


async def furnish(store_url: str, *usernames: str) -> list[str]:
    """Bring the factories' catalogue and these cashiers in; return their tokens."""
    tokens = []
    async with open_gateway(Settings(store=StoreSettings(url=store_url))) as gateway:
        await gateway.import_rows("customers", CUSTOMERS)
        await gateway.import_rows("products", PRODUCTS)
        for username in usernames:
            _, issued = await gateway.add_user(username, "cashier")
            assert issued is not None
            tokens.append(issued.token)
    return tokens


def http_session() -> ClientSession:
    """Return a client without a limit of connections, whose every request ends in a minute."""
    return ClientSession(connector=TCPConnector(limit=0), timeout=ClientTimeout(total=60))


@dataclass(frozen=True, order=True)
class StoredSale:
    """What the database says of a sale."""

    id: int
    number: str
    local_id: str


async def stored_sales(store_url: str) -> list[StoredSale]:
    """Read every sale by id, with a connection that is none of the gateway's."""
    query = "SELECT id, number, local_id FROM sales ORDER BY id"
    if store_url.startswith("sqlite:///"):
        path = store_url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path)) as opened:
            return [StoredSale(*row) for row in opened.execute(query)]
    connection = await asyncpg.connect(store_url)
    try:
        return [StoredSale(*row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


def has_no_gap(sales: list[StoredSale]) -> bool:
    """Say whether the numbers are 1 to n, each once."""
    numbers = sorted(int(sale.number.rsplit("-", 1)[1]) for sale in sales)
    return numbers == list(range(1, len(sales) + 1))
