"""A backup taken under load, restored here and elsewhere: nothing lost, nothing numbered twice."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.end_to_end.processes import (
    DaemonProcess,
    StoredSale,
    furnish,
    http_session,
    on_store,
    run,
    serving_process,
    stored_sales,
)
from tests.factories import Json, make_sale
from tests.http import Till
from tests.postgres import PostgresServer

TILLS = ("ana", "beto", "caro")
BATCH = 3
# Batches of each till, before and after the backup begins.
BEFORE, DURING = 10, 30


@pytest.fixture
def url(store_url: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database, with the programs of its own Postgres on PATH."""
    if not store_url.startswith("sqlite"):
        server: PostgresServer = request.getfixturevalue("postgres_server")
        monkeypatch.setenv("PATH", f"{server.binaries}{os.pathsep}{os.environ['PATH']}")
    return store_url


@pytest.fixture
def elsewhere(url: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where nothing is yet, on the same engine."""
    if url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path}/new/elsewhere.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    server.create_database("backup_elsewhere")
    yield server.url("backup_elsewhere")
    server.drop_database("backup_elsewhere")


def identities(document: Any) -> list[StoredSale]:
    """Return what an answer says of its sales, all of which must be successes."""
    results = document["results"]
    assert {result["status"] for result in results} == {"success"}
    return [StoredSale(each["sale_id"], each["sale_number"], each["local_id"]) for each in results]


class Shop:
    """Tills that remember all they sold and all they were answered."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.queues: list[tuple[str, list[Json]]] = []
        self.answered: set[StoredSale] = set()

    async def sell(self, http: ClientSession, address: str, batches: int) -> None:
        """Upload new batches from every till at once."""

        async def sell(token: str) -> None:
            for _ in range(batches):
                sales = [make_sale() for _ in range(BATCH)]
                self.queues.append((token, sales))
                answer = await Till(http, address, token).upload(*sales)
                self.answered.update(identities(answer.json))

        await asyncio.gather(*map(sell, self.tokens))

    async def replay(self, daemon: DaemonProcess) -> set[StoredSale]:
        """Upload every batch again; return what is answered now."""
        async with http_session() as http:

            async def send(token: str, sales: list[Json]) -> list[StoredSale]:
                answer = await Till(http, daemon.address, token).upload(*sales)
                return identities(answer.json)

            answers = await asyncio.gather(*(send(*queue) for queue in self.queues))
        return {sale for answer in answers for sale in answer}


async def _back_up_under_load(folder: Path, url: str) -> tuple[Shop, set[StoredSale]]:
    """Return the shop, and what it was answered before the backup began."""
    shop = Shop(await furnish(url, *TILLS))
    async with serving_process(folder, **on_store(url)) as daemon, http_session() as http:
        await shop.sell(http, daemon.address, BEFORE)
        before = set(shop.answered)
        selling = asyncio.ensure_future(shop.sell(http, daemon.address, DURING))
        code, out, err = await run(folder, "db", "backup", "shop.backup", **on_store(url))
        assert (code, err) == (0, ""), out
        await selling
        await shop.sell(http, daemon.address, 1)
        await daemon.end()
    return shop, before


async def _restore(folder: Path, url: str, *options: str) -> set[StoredSale]:
    """Restore the backup and check the database; return the sales it has."""
    restored = await run(folder, "db", "restore", "shop.backup", "--yes", *options, **on_store(url))
    assert restored[0] == 0, restored
    await _check(folder, url)
    return set(await stored_sales(url))


async def _check(folder: Path, url: str) -> None:
    code, _, err = await run(folder, "db", "check", **on_store(url))
    assert (code, err) == (0, "")


async def test_after_a_restore_the_tills_bring_back_the_rest_under_new_numbers(
    tmp_path: Path, url: str, elsewhere: str
) -> None:
    shop, before = await _back_up_under_load(tmp_path, url)
    issued = set(shop.answered)

    places = {url: await _restore(tmp_path, url)}
    places[elsewhere] = await _restore(tmp_path, elsewhere, "--skip", "10000")

    for place, held in places.items():
        assert before <= held < issued
        async with serving_process(tmp_path, **on_store(place)) as daemon:
            first = await shop.replay(daemon)
            second = await shop.replay(daemon)
            await daemon.end()
        assert first == second == set(await stored_sales(place))
        assert {sale.local_id for sale in first} == {sale.local_id for sale in issued}
        assert len(first) == len(issued)
        assert held <= first
        anew = first - held
        assert {sale.id for sale in anew}.isdisjoint(sale.id for sale in issued)
        assert {sale.number for sale in anew}.isdisjoint(sale.number for sale in issued)
        await _check(tmp_path, place)
