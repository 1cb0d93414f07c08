"""Who is slow, silent or many is cut, and the tills beside them notice nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from bulonera_sync.gateway import open_gateway
from bulonera_sync.server import connections
from tests.conftest import make_settings
from tests.factories import CUSTOMERS, PRODUCTS, make_sale
from tests.http import SYNC, Daemon, running_daemon

UPLOAD, PENDING = f"{SYNC}/upload/", f"{SYNC}/pending/"

# What is cut never comes to the store.
pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


@dataclass
class Line:
    """A connection, byte by byte."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def to(cls, daemon: Daemon) -> "Line":
        at = urlsplit(daemon.address)
        return cls(*await asyncio.open_connection(at.hostname, at.port))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def drip(self, data: bytes = b"a", pause: float = 0.05) -> None:
        """Send a little again and again until the other side has had enough."""
        try:
            while not self.reader.at_eof() and not self.writer.is_closing():
                await self.send(data)
                await asyncio.sleep(pause)
        except ConnectionError:
            return

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        """Return the next answer's status, headers and JSON."""
        async with asyncio.timeout(10):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            first, *fields = head.strip().split("\r\n")
            headers = {k.lower(): v for k, v in (field.split(": ", 1) for field in fields)}
            body = await self.reader.readexactly(int(headers["content-length"]))
        return int(first.split()[1]), headers, json.loads(body)

    async def rest(self) -> bytes:
        """Return all that comes until the daemon closes; it must do so."""
        async with asyncio.timeout(10):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    def close(self) -> None:
        self.writer.close()


@asynccontextmanager
async def lines(daemon: Daemon, count: int) -> AsyncIterator[list[Line]]:
    opened = [await Line.to(daemon) for _ in range(count)]
    try:
        yield opened
    finally:
        for line in opened:
            line.close()


@asynccontextmanager
async def dripping(line: Line, data: bytes = b"a") -> AsyncIterator[None]:
    task = asyncio.create_task(line.drip(data))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


StartLimited = Callable[..., AbstractAsyncContextManager[Daemon]]


@pytest.fixture
def start_limited(store_url: str, monkeypatch: pytest.MonkeyPatch) -> StartLimited:
    """Start a daemon whose patience is short, with these `[server]` settings."""
    monkeypatch.setattr(connections, "SWEEP_SECONDS", 0.05)
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(connections, "TRANSFER_SECONDS", 0.5)
    monkeypatch.setattr(connections, "TO_ASK_SECONDS", 0)

    @asynccontextmanager
    async def start(**server: object) -> AsyncIterator[Daemon]:
        settings = make_settings(store_url)
        settings = settings.model_copy(update={"server": settings.server.model_copy(update=server)})
        async with open_gateway(settings) as gateway:
            await gateway.import_rows("customers", CUSTOMERS)
            await gateway.import_rows("products", PRODUCTS)
            async with running_daemon(gateway) as daemon:
                yield daemon

    return start


@pytest.fixture
async def limited(start_limited: StartLimited) -> AsyncIterator[Daemon]:
    async with start_limited() as daemon:
        yield daemon


def head_of(token: str | None, path: str, length: int, method: str = "POST") -> bytes:
    return (
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Token {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


# Deadlines


async def test_headers_that_drip_are_cut_whatever_keeps_coming(limited: Daemon) -> None:
    async with lines(limited, 1) as [line]:
        await line.send(b"GET /healthz HTTP/1.1\r\nX: ")
        async with dripping(line):
            status, headers, body = await line.answer()
            rest = await line.rest()

    assert (status, list(body), rest) == (408, ["detail"], b"")
    assert headers["connection"] == "close"


async def test_the_headers_of_a_further_request_have_a_deadline_too(limited: Daemon) -> None:
    async with lines(limited, 1) as [line]:
        await line.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        first = await line.answer()
        await line.send(b"GET /healthz HTTP/1.1\r\nX: ")
        async with dripping(line):
            second = await line.answer()

    assert (first[0], second[0]) == (200, 408)


async def test_a_connection_that_says_nothing_is_closed_without_a_word(limited: Daemon) -> None:
    async with lines(limited, 1) as [line]:
        assert await line.rest() == b""


async def test_a_connection_that_has_asked_may_wait_longer(limited: Daemon) -> None:
    async with lines(limited, 2) as [line, silent]:
        await line.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        await line.answer()
        # Opened at the same time, and gone: the other's wait is over as well.
        await silent.rest()

        await line.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")

        assert (await line.answer())[0] == 200


@pytest.mark.parametrize("framing", ["Content-Length: 5000", "Transfer-Encoding: chunked"])
async def test_a_body_that_drips_is_cut_with_a_408(limited: Daemon, framing: str) -> None:
    ana = await limited.till("ana")
    head = head_of(ana.token, UPLOAD, 5000).replace(b"Content-Length: 5000", framing.encode())
    async with lines(limited, 1) as [line]:
        await line.send(head)
        async with dripping(line, b"1\r\n \r\n"):
            status, headers, body = await line.answer()
            await line.rest()

    assert (status, list(body)) == (408, ["detail"])
    assert headers["content-type"].startswith("application/json")
    assert headers["connection"] == "close"


async def test_a_body_that_comes_slowly_but_steadily_is_taken(
    limited: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BYTES_PER_SECOND", 100)
    ana = await limited.till("ana")
    sale = make_sale(notes="x" * 500)
    body = json.dumps({"sales": [sale]}).encode()
    async with lines(limited, 1) as [line]:
        await line.send(head_of(ana.token, UPLOAD, len(body)))
        # Three times as long as a body may take that brings nothing.
        for place in range(0, len(body), len(body) // 15 + 1):
            await line.send(body[place : place + len(body) // 15 + 1])
            await asyncio.sleep(0.1)
        status, _, answered = await line.answer()

    assert (status, answered["summary"]["successful"]) == (200, 1)


async def test_who_does_not_read_its_answers_is_cut(
    limited: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BYTES_PER_SECOND", 1024 * 1024)
    ana = await limited.till("ana")
    await ana.upload(*(make_sale(customer_id=999, notes="x" * 2000) for _ in range(200)))
    request = head_of(ana.token, f"{PENDING}?limit=200", 0, "GET")
    async with lines(limited, 1) as [line]:
        # What has been answered fills what lies between, and the daemon waits with the next.
        async with asyncio.timeout(20):
            await line.drip(request, pause=0)


# Caps


async def test_idle_connections_give_way_to_new_ones(start_limited: StartLimited) -> None:
    async with (
        start_limited(max_connections_per_address=20) as daemon,
        lines(daemon, 60) as opened,
    ):
        await opened[-1].send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")

        assert (await opened[-1].answer())[0] == 200
        assert [await line.rest() for line in opened[:40]] == [b""] * 40


async def test_who_has_never_asked_gives_way_before_who_once_did(
    start_limited: StartLimited,
) -> None:
    async with start_limited(max_connections=10) as daemon, lines(daemon, 1) as [till]:
        await till.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        await till.answer()
        async with lines(daemon, 50) as others:
            await others[0].rest()

            await till.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")

            assert (await till.answer())[0] == 200


async def test_who_has_just_come_may_ask_before_it_gives_way(
    start_limited: StartLimited, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "TO_ASK_SECONDS", 60)
    async with start_limited(max_connections=10) as daemon, lines(daemon, 10) as former:
        for line in former:
            await line.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            await line.answer()

        async with lines(daemon, 5) as newer:
            for line in newer:
                await line.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")

            assert [(await line.answer())[0] for line in newer] == [200] * 5
            assert [await line.rest() for line in former[:5]] == [b""] * 5


@pytest.mark.parametrize("key", ["max_connections", "max_connections_per_address"])
async def test_where_all_are_busy_a_new_one_is_told_to_come_again(
    start_limited: StartLimited, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setattr(connections, "TRANSFER_SECONDS", 60)
    async with start_limited(**{key: 5}) as daemon:
        token = (await daemon.till("ana")).token
        async with lines(daemon, 5) as busy:
            for line in busy:
                await line.send(head_of(token, UPLOAD, 100)[:-2] + b"Expect: 100-continue\r\n\r\n")
                assert b" 100 " in await line.reader.readuntil(b"\r\n\r\n")
            async with lines(daemon, 1) as [refused]:
                status, headers, body = await refused.answer()
                await refused.rest()
            await busy[0].send(b" " * 100)
            await busy[0].answer()
            async with lines(daemon, 1) as [line]:
                await line.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                after = await line.answer()

    assert (status, list(body)) == (503, ["detail"])
    assert int(headers["retry-after"]) >= 1
    assert after[0] == 200


# The tills beside them


async def test_honest_uploads_all_succeed_beside_the_idle_and_the_slow(
    start_limited: StartLimited,
) -> None:
    async with start_limited(max_connections_per_address=100) as daemon:
        ana = await daemon.till("ana")
        async with lines(daemon, 150) as idle, lines(daemon, 30) as slow:
            drips = [asyncio.create_task(line.drip()) for line in slow]
            for line in slow:
                line.writer.write(head_of(ana.token, UPLOAD, 5000))

            answers = [await ana.upload(make_sale()) for _ in range(50)]

            for line in idle:
                await line.rest()
            for line in slow:
                await line.rest()
            await asyncio.gather(*drips)

    assert {answer.status for answer in answers} == {200}


async def test_who_is_cut_is_counted_in_the_log(
    limited: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    async with lines(limited, 3) as silent:
        for line in silent:
            await line.rest()

    records = [each for each in caplog.records if each.message == "Slow connections cut"]
    assert sum(each.__dict__["count"] for each in records) == 3
    assert {each.__dict__["address"] for each in records} == {"127.0.0.1"}
