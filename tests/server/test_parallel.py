"""Tills that send the same at once: one sale each, equal answers, no gap and no double."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.conftest import StartDaemon
from tests.factories import Json, make_item, make_sale
from tests.http import SYNC, Answer, Daemon, Till

TIMES = 20

# An SQLite file has one daemon.
ON_POSTGRES = pytest.mark.parametrize("store_url", ["postgres"], indirect=True)


def some_sales() -> list[Json]:
    """Eight valid sales and two that are held."""
    return [make_sale() for _ in range(8)] + [
        make_sale(items=[make_item(quantity="0")]),
        make_sale(customer_id=999),
    ]


def told(answer: Answer) -> list[tuple[Any, ...]]:
    """What an answer says of each sale, whether it was the first to bring it or not."""
    names = ("index", "local_id", "status", "sale_id", "sale_number", "version", "error")
    return [tuple(result.get(name) for name in names) for result in answer.json["results"]]


async def check_stored_once(till: Till, sales: list[Json], answers: list[Answer]) -> None:
    """Every answer says the same, and there is one sale of each local_id, numbered 1 to n."""
    assert {answer.status for answer in answers} == {200}
    assert {tuple(told(answer)) for answer in answers} == {tuple(told(answers[0]))}
    results = answers[0].json["results"]
    assert sorted(r["sale_id"] for r in results) == list(range(1, len(sales) + 1))
    numbers = sorted(int(r["sale_number"].rpartition("-")[2]) for r in results)
    assert numbers == list(range(1, len(sales) + 1))
    assert (await till.get(f"/api/v1/sales/{len(sales) + 1}/")).status == 404
    keys = {"local_ids": [sale["local_id"] for sale in sales]}
    rows = (await till.post(f"{SYNC}/status/", keys)).json["results"]
    assert [row["sale_id"] for row in rows] == [r["sale_id"] for r in results]
    created = Counter(r["message"] for answer in answers for r in answer.json["results"][:8])
    assert created == {None: 8, "Sale already synced": 8 * (len(answers) - 1)}
    # A held one is judged anew each time it comes.
    assert [row["sync_attempt_count"] for row in rows] == [1] * 8 + [len(answers)] * 2


async def test_the_same_batch_20_times_at_once_to_one_daemon(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sales = some_sales()

    answers = await asyncio.gather(*(ana.upload(*sales) for _ in range(TIMES)))

    await check_stored_once(ana, sales, answers)


@ON_POSTGRES
async def test_the_same_batch_20_times_at_once_across_two_daemons(
    start_daemon: StartDaemon,
) -> None:
    async with start_daemon() as one, start_daemon() as two:
        ana = await one.till("ana")
        there = two.till_of(ana.token)
        sales = some_sales()

        answers = await asyncio.gather(*((ana, there)[i % 2].upload(*sales) for i in range(TIMES)))

        await check_stored_once(ana, sales, answers)


@ON_POSTGRES
async def test_batches_in_opposite_orders_block_no_one(start_daemon: StartDaemon) -> None:
    async with start_daemon() as one, start_daemon() as two:
        ana = await one.till("ana")
        there = two.till_of(ana.token)
        sales = [make_sale() for _ in range(30)]
        orders = (sales, sales[::-1], sales[15:] + sales[:15], sales[::-2] + sales[::2])

        answers = await asyncio.gather(
            *((ana, there)[i % 2].upload(*orders[i // 2 % 4]) for i in range(TIMES))
        )

        assert {answer.status for answer in answers} == {200}
        ids = {(r["local_id"], r["sale_id"]) for answer in answers for r in answer.json["results"]}
        assert len(ids) == 30
        assert sorted(sale_id for _, sale_id in ids) == list(range(1, 31))


async def test_different_sales_of_many_tills_get_numbers_without_gap_or_double(
    daemon: Daemon,
) -> None:
    tills = [await daemon.till(f"till{i}") for i in range(8)]

    answers = await asyncio.gather(
        *(till.upload(*(make_sale() for _ in range(5))) for till in tills for _ in range(3))
    )

    assert {answer.status for answer in answers} == {200}
    results = [r for answer in answers for r in answer.json["results"]]
    numbers = [int(r["sale_number"].rpartition("-")[2]) for r in results]
    assert sorted(numbers) == list(range(1, 121))
    # Of one body they follow its order.
    for answer in answers:
        of_one = [r["sale_number"] for r in answer.json["results"]]
        assert of_one == sorted(of_one)


async def test_one_sale_by_20_users_at_once_is_one_users(daemon: Daemon) -> None:
    tills = [await daemon.till(f"till{i}") for i in range(TIMES)]
    sale = make_sale()

    answers = await asyncio.gather(*(till.upload(sale) for till in tills))

    assert {answer.status for answer in answers} == {200}
    assert {answer.result["sale_id"] for answer in answers} == {1}
    assert Counter(answer.result["message"] for answer in answers) == {
        None: 1,
        "Sale already synced": TIMES - 1,
    }


async def test_20_different_edits_at_once_of_one_version_let_one_win(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sale = make_sale()
    await ana.upload(sale)

    answers = await asyncio.gather(
        *(ana.upload({**sale, "notes": f"edit {i}"}) for i in range(TIMES))
    )

    assert {answer.status for answer in answers} == {200}
    assert Counter(answer.result["message"] == "Sale updated" for answer in answers) == {
        True: 1,
        False: TIMES - 1,
    }
    others = [a.result for a in answers if a.result["message"] != "Sale updated"]
    assert {result["code"] for result in others} == {"stale_version"}
    assert (await ana.status(1))["version"] == 2


async def test_readers_see_whole_sales_while_writers_write(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sale = make_sale(items=[make_item(quantity="1")] * 2)
    await ana.upload(sale)

    async def edit(version: int) -> None:
        quantity = str(version + 1)
        items = [make_item(quantity=quantity)] * 2
        answer = await ana.upload({**sale, "items": items, "version": version})
        assert answer.result["message"] == "Sale updated"

    async def read() -> None:
        shown = await ana.sale(1)
        first, second = (item["quantity"] for item in shown["items"])
        assert first == second == f"{shown['version']}.000"

    for version in range(1, 11):
        await asyncio.gather(edit(version), read(), read(), read())
