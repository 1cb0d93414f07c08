"""Two daemons on one Postgres: one shop, whichever of them a till asks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.end_to_end.processes import (
    DaemonProcess,
    furnish,
    has_no_gap,
    http_session,
    on_store,
    serving_process,
    stored_sales,
)
from tests.factories import make_sale
from tests.http import Answer, Till
from tests.postgres import PostgresServer

TIMES = 20


@pytest.fixture
def empty_postgres(postgres_server: PostgresServer) -> str:
    """The url of a database without a table."""
    postgres_server.create_database("two_daemons")
    return postgres_server.url("two_daemons")


@pytest.fixture
async def daemons(
    tmp_path: Path, empty_postgres: str, postgres_server: PostgresServer
) -> AsyncIterator[list[DaemonProcess]]:
    """Two daemons that were started at once on an empty Postgres."""
    async with AsyncExitStack() as stack:
        starting = (serving_process(tmp_path, **on_store(empty_postgres)) for _ in range(2))
        yield list(await asyncio.gather(*map(stack.enter_async_context, starting)))
    postgres_server.drop_database("two_daemons")


async def test_two_daemons_started_at_once_prepare_one_database(
    daemons: list[DaemonProcess],
) -> None:
    async with http_session() as http:
        ready = [await Till(http, each.address, None).get("/readyz") for each in daemons]

    assert [answer.status for answer in ready] == [200, 200]


async def test_a_batch_sent_to_both_many_times_at_once_is_stored_once(
    daemons: list[DaemonProcess], empty_postgres: str
) -> None:
    tokens = await furnish(empty_postgres, "ana", "beto", "caro")
    batches = {token: [make_sale() for _ in range(4)] for token in tokens}

    async with http_session() as http:

        async def send(daemon: DaemonProcess, token: str) -> tuple[str, Answer]:
            return token, await Till(http, daemon.address, token).upload(*batches[token])

        answers = await asyncio.gather(
            *(send(each, token) for _ in range(TIMES) for token in tokens for each in daemons)
        )

    assert {answer.status for _, answer in answers} == {200}
    seen = {
        (each["local_id"], each["status"], each["sale_id"], each["sale_number"])
        for _, answer in answers
        for each in answer.json["results"]
    }
    local_ids = [sale["local_id"] for batch in batches.values() for sale in batch]
    assert sorted(row[0] for row in seen) == sorted(local_ids)
    assert {row[1] for row in seen} == {"success"}
    stored = await stored_sales(empty_postgres)
    assert {(sale.local_id, "success", sale.id, sale.number) for sale in stored} == seen
    assert has_no_gap(stored)


async def test_daemons_that_sell_at_once_share_one_row_of_numbers(
    daemons: list[DaemonProcess], empty_postgres: str
) -> None:
    tokens = await furnish(empty_postgres, "ana", "beto")

    async with http_session() as http:

        async def sell(daemon: DaemonProcess, token: str) -> list[int]:
            till = Till(http, daemon.address, token)
            return [(await till.upload(make_sale(), make_sale())).status for _ in range(TIMES)]

        statuses = await asyncio.gather(*map(sell, daemons, tokens))

    assert {status for each in statuses for status in each} == {200}
    stored = await stored_sales(empty_postgres)
    assert len(stored) == 2 * 2 * TIMES
    assert has_no_gap(stored)
