"""Connections that end where they should not: cut in the request, cut in the answer, reset."""

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

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


async def send_and_reset(port: int, token: str, sale: Json) -> None:
    """Send a request whole, then reset the connection instead of reading the answer."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request_of(token, [sale]))
    await writer.drain()
    # The daemon must have read it: a reset throws away what still waits in the socket.
    await asyncio.sleep(0.02)
    opened: socket.socket = writer.get_extra_info("socket")
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
    writer.transport.abort()


@asynccontextmanager
async def cutting_proxy(port: int, chance: random.Random) -> AsyncIterator[tuple[int, list[int]]]:
    """A proxy that cuts half of the connections after some bytes, of the request or the answer.

    Yields its port and a list that grows by one with every cut.
    """
    cuts: list[int] = []

    async def pump(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int | None
    ) -> None:
        passed = 0
        while data := await reader.read(65_536):
            if limit is not None and passed + len(data) > limit:
                writer.write(data[: limit - passed])
                with suppress(ConnectionError):
                    await writer.drain()
                cuts.append(1)
                raise ConnectionAbortedError
            passed += len(data)
            writer.write(data)
            await writer.drain()
        writer.write_eof()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.transport.abort()
            return
        is_cut, in_request = chance.random() < CUT_SHARE, chance.random() < 0.5
        request_limit = chance.randint(0, 3_000) if is_cut and in_request else None
        answer_limit = chance.randint(0, 1_500) if is_cut and not in_request else None
        ways = [
            asyncio.create_task(pump(reader, back, request_limit)),
            asyncio.create_task(pump(there, writer, answer_limit)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_EXCEPTION)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        for each in (back, writer):
            each.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], cuts
        server.close()
