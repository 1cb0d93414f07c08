"""Tests of the proxy that cuts connections."""

import asyncio
import gc
import random
from typing import Any

import pytest

from tests.faults import torn

PATIENCE_SECONDS = 10


async def test_a_connection_waiting_for_its_answer_is_held_on_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # asyncio holds its tasks weakly, and lets go of a connection whose client has said its last.
    monkeypatch.setattr(torn, "CUT_SHARE", 0)
    problems: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: problems.append(told))
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        asked.set()
        await may_answer.wait()
        writer.write(b"here")
        writer.close()

    async with (
        await asyncio.start_server(answer, "127.0.0.1", 0) as server,
        torn.cutting_proxy(server.sockets[0].getsockname()[1], random.Random(1)) as (port, _),
    ):
        client, sending = await asyncio.open_connection("127.0.0.1", port)
        sending.write_eof()
        await asyncio.wait_for(asked.wait(), PATIENCE_SECONDS)
        gc.collect()
        may_answer.set()

        assert await asyncio.wait_for(client.read(), PATIENCE_SECONDS) == b"here"
        sending.close()
    assert problems == []


async def test_no_connection_outlives_the_proxy() -> None:
    before = asyncio.all_tasks()
    asked = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        there = server.sockets[0].getsockname()[1]
        async with torn.cutting_proxy(there, random.Random(1)) as (port, _):
            client, sending = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.wait_for(asked.wait(), PATIENCE_SECONDS)
            assert asyncio.all_tasks() > before

        assert await asyncio.wait_for(client.read(), PATIENCE_SECONDS) == b""
        sending.close()
        rest = asyncio.gather(*asyncio.all_tasks() - before)
        await asyncio.wait_for(rest, PATIENCE_SECONDS)
        assert asyncio.all_tasks() == before
