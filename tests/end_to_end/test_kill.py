"""`kill -9` in the middle of uploads: what was answered is there, once, under its number."""

import asyncio
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession

from tests.end_to_end.processes import (
    DaemonProcess,
    StoredSale,
    furnish,
    has_no_gap,
    http_session,
    on_store,
    serving_process,
    stored_sales,
)
from tests.factories import Json, make_sale
from tests.http import Till

ROUNDS = 20
TILLS = ("ana", "beto", "caro", "dina", "elio", "fani")
# Answers before the kill: not the same number each round, so that it falls at another moment.
ANSWERS = [4 + turn % 7 for turn in range(ROUNDS)]


@dataclass
class Batch:
    """Sales of one request, and the identities that its first answer gave them, if one came."""

    token: str
    sales: list[Json]
    answered: list[StoredSale] | None = None


def _identities(document: Any) -> list[StoredSale]:
    """Return what an answer says of its sales, all of which must be successes."""
    results = document["results"]
    assert {result["status"] for result in results} == {"success"}
    return [StoredSale(each["sale_id"], each["sale_number"], each["local_id"]) for each in results]


async def _sell_until_killed(
    daemon: DaemonProcess, http: ClientSession, tokens: list[str], *, answers: int
) -> list[Batch]:
    """Upload from every till at once and kill the daemon after so many answers."""
    batches: list[Batch] = []
    left = answers

    async def sell(token: str, size: int) -> None:
        nonlocal left
        till = Till(http, daemon.address, token)
        while daemon.process.returncode is None:
            batch = Batch(token, [make_sale() for _ in range(size)])
            batches.append(batch)
            try:
                answer = await till.upload(*batch.sales)
            except (ClientError, OSError):
                return
            assert answer.status == 200
            batch.answered = _identities(answer.json)
            left -= 1
            if left == 0:
                daemon.tell(signal.SIGKILL)

    await asyncio.gather(*(sell(token, size) for size, token in enumerate(tokens, start=1)))
    assert await daemon.ended() == -signal.SIGKILL
    return batches


async def _replay(daemon: DaemonProcess, http: ClientSession, batch: Batch) -> list[StoredSale]:
    answer = await Till(http, daemon.address, batch.token).upload(*batch.sales)
    assert answer.status == 200
    return _identities(answer.json)


async def test_every_answered_sale_survives_any_kill(tmp_path: Path, store_url: str) -> None:
    tokens = await furnish(store_url, *TILLS)
    batches: list[Batch] = []
    async with http_session() as http:
        for answers in ANSWERS:
            async with serving_process(tmp_path, **on_store(store_url)) as daemon:
                batches += await _sell_until_killed(daemon, http, tokens, answers=answers)
        after_kills = set(await stored_sales(store_url))
        async with serving_process(tmp_path, **on_store(store_url)) as daemon:
            first = await asyncio.gather(*(_replay(daemon, http, each) for each in batches))
            second = await asyncio.gather(*(_replay(daemon, http, each) for each in batches))
            await daemon.end()

    answered = [batch.answered for batch in batches if batch.answered is not None]
    assert len(answered) >= sum(ANSWERS)
    assert {sale for sales in answered for sale in sales} <= after_kills
    assert has_no_gap(sorted(after_kills))
    for batch, replayed in zip(batches, first, strict=True):
        assert batch.answered in (None, replayed)
    assert second == first
    stored = await stored_sales(store_url)
    assert stored == sorted(sale for sales in first for sale in sales)
    assert has_no_gap(stored)
