"""Connections that end where they should not: cut in the request, cut in the answer, reset."""

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from tests.factories import Json
from tests.faults.ledgers import bytes_of
from tests.http import SYNC

_RESET_AT_CLOSE = struct.pack("ii", 1, 0)
CUT_SHARE = 0.5


def request_of(token: str, sales: list[Json]) -> bytes:
    """Return the bytes of an upload."""
    body = b'{"sales":[' + b",".join(map(bytes_of, sales)) + b"]}"
    head = (
        f"POST {SYNC}/upload/ HTTP/1.1\r\nHost: box\r\nAuthorization: Token {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _waits_unread(port: int, client_port: int) -> bool:
    """Say whether bytes of this connection wait in the daemon's socket."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, here, there, _, queues, *_ = line.split()
        if (here[-4:], there[-4:]) == (f"{port:04X}", f"{client_port:04X}"):
            return int(queues.partition(":")[2], 16) > 0
    return True


async def send_and_reset(port: int, token: str, sales: list[Json]) -> None:
    """Send a request for each sale, whole, then reset the connections instead of listening."""
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in sales]
    for (_, writer), sale in zip(opened, sales, strict=True):
        writer.write(request_of(token, [sale]))
        await writer.drain()
    sockets = [writer.get_extra_info("socket") for _, writer in opened]
    # The daemon must have read them: a reset throws away what still waits in a socket.
    for each in sockets:
        while _waits_unread(port, each.getsockname()[1]):  # noqa: ASYNC110 - another process reads
            await asyncio.sleep(0.002)
    # And have begun with them.
    await asyncio.sleep(0.2)
    for (_, writer), each in zip(opened, sockets, strict=True):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        writer.transport.abort()


async def _cut(writer: asyncio.StreamWriter) -> None:
    """Cut this connection, and wait until the loop has let go of it."""
    writer.transport.abort()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def _ended(tasks: set[asyncio.Task[None]]) -> None:
    """Cancel these tasks and wait for them; what they raise is no matter here."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class CuttingProxy:
    """A proxy that cuts half of the connections after some bytes, of the request or the answer."""

    def __init__(self, port: int, chance: random.Random) -> None:
        self._port = port
        self._chance = chance
        self._serving: set[asyncio.Task[None]] = set()
        self.cuts = 0

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve this connection, in a task that is held here until it has ended."""
        serving = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def end(self) -> None:
        """Cut what is still open: a connection must not outlive its test."""
        await _ended(self._serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with AsyncExitStack() as ends:
            ends.push_async_callback(_cut, writer)
            try:
                there, back = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                return
            ends.push_async_callback(_cut, back)
            request_limit, answer_limit = self._limits()
            ways = {
                asyncio.create_task(self._pump(reader, back, request_limit)),
                asyncio.create_task(self._pump(there, writer, answer_limit)),
            }
            ends.push_async_callback(_ended, ways)
            await asyncio.wait(ways, return_when=asyncio.FIRST_EXCEPTION)

    def _limits(self) -> tuple[int | None, int | None]:
        if self._chance.random() > CUT_SHARE:
            return None, None
        if self._chance.random() < 0.5:
            return self._chance.randint(0, 3_000), None
        return None, self._chance.randint(0, 1_500)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int | None
    ) -> None:
        passed = 0
        while data := await reader.read(65_536):
            if limit is not None and passed + len(data) > limit:
                writer.write(data[: limit - passed])
                with suppress(ConnectionError):
                    await writer.drain()
                self.cuts += 1
                raise ConnectionAbortedError
            passed += len(data)
            writer.write(data)
            await writer.drain()
        writer.write_eof()


@asynccontextmanager
async def cutting_proxy(
    port: int, chance: random.Random
) -> AsyncIterator[tuple[int, CuttingProxy]]:
    """A running proxy before this port, and the port of its own."""
    proxy = CuttingProxy(port, chance)
    async with await asyncio.start_server(proxy.accept, "127.0.0.1", 0) as server:
        try:
            yield server.sockets[0].getsockname()[1], proxy
        finally:
            await proxy.end()
