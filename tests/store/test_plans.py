"""What a request costs the database: indexes that answer it, statements that do not multiply."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from sqlalchemy import Dialect, Table

from bulonera_sync.changes import Circumstances
from bulonera_sync.decisions import Policy
from bulonera_sync.gateway import Gateway
from bulonera_sync.gateway.uploads import Submission, UploadRules, take_all
from bulonera_sync.outcomes import Success
from bulonera_sync.retries import RetryPolicy
from bulonera_sync.sales import Actor, User
from bulonera_sync.store import catalog, copies, listings, sales, schema, users
from bulonera_sync.store.dialect import POSTGRES, SQLITE
from bulonera_sync.store.drivers import sqlite3
from bulonera_sync.store.sessions import Session, Store
from bulonera_sync.store.statements import Insert, Row, Statement
from bulonera_sync.uploads import read_sale
from tests.factories import as_parsed, make_item, make_sale
from tests.store.databases import is_sqlite, opened, run_sql

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OF_ALL = listings._statements(frozenset({"error", "pending"}), of_one_user=False)
OF_ONE = listings._statements(frozenset({"error", "pending"}), of_one_user=True)
PAGE = {"after_id": 0, "limit": 50}


def _grown(table: Table, count: int, source: str, **changed: str) -> str:
    """SQL that adds `count` rows like one that is there; `changed` says how row i differs."""
    columns = [each.name for each in table.columns if each.name in changed or each.name != "id"]
    values = [changed.get(name, f"t.{name}") for name in columns]
    return (
        f"INSERT INTO {table.name} ({', '.join(columns)}) WITH RECURSIVE n (i) AS "  # noqa: S608
        f"(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
        f"SELECT {', '.join(values)} FROM {table.name} AS t, n WHERE {source}"
    )


@pytest.fixture
async def filled(gateway: Gateway, cashier: User, store_url: str) -> str:
    """A shop's database after a while: much is synced, little waits; with fresh statistics."""
    sold = make_sale()
    await gateway.upload(cashier, as_parsed(sold, make_sale(customer_id=777)))
    await gateway.upload(cashier, as_parsed({**sold, "notes": "x"}))
    names = {"number": "'N' || (t.id * 10000 + i)", "local_id": "'L' || (t.id * 10000 + i)"}
    await run_sql(
        store_url,
        _grown(schema.customers, 400, "t.id = 1", id="10000 + i"),
        _grown(schema.products, 400, "t.id = 1", id="10000 + i"),
        _grown(schema.users, 20, "t.id = 1", username="'user ' || i"),
        _grown(schema.tokens, 400, "t.id = 1", digest="'D' || i", user_id="1 + i % 20"),
        _grown(schema.sales, 4_000, "t.id = 1", id="10000 + i", **names, user_id="1 + i % 20"),
        _grown(schema.sales, 200, "t.id = 2", id="20000 + i", **names, user_id="1 + i % 20"),
        _grown(schema.sale_items, 4_000, "t.sale_id = 1", sale_id="10000 + i"),
        _grown(
            schema.copies, 4_000, "t.id = 1",
            sale_id="10001 + i % 400", fingerprint="'F' || i", said_fingerprint="'S' || i",
            version="1 + i / 400",
        ),
        _grown(schema.waits, 200, "t.sale_id = 2", sale_id="20000 + i", missing_id="1000 + i"),
        "ANALYZE",
    )  # fmt: skip
    return store_url


async def plan_of(url: str, statement: Statement, values: Mapping[str, Any]) -> str:
    """How the engine answers the statement, as compiled for it, in its own words."""
    compiled = statement.for_dialect(_dialect_of(url))
    if is_sqlite(url):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        rows = connection.execute(
            f"EXPLAIN QUERY PLAN {compiled.sql}", compiled.bind(values)
        ).fetchall()
        connection.close()
        return "\n".join(str(row[-1]) for row in rows)
    opened = await asyncpg.connect(url)
    try:
        # The tests' tables are so small that reading them whole is the cheapest.
        await opened.execute("SET enable_seqscan = off")
        found = await opened.fetch(f"EXPLAIN {compiled.sql}", *compiled.bind(values))
    finally:
        await opened.close()
    return "\n".join(row[0] for row in found)


def _dialect_of(url: str) -> Dialect:
    return SQLITE if is_sqlite(url) else POSTGRES


# What is asked, with which values, and an index of which one must answer it.
ASKED: Mapping[str, tuple[Statement, Mapping[str, Any], str]] = {
    "page": (OF_ALL[0], PAGE, "ix_sales_unsynced"),
    "count": (OF_ALL[1], {}, "unsynced"),
    "own page": (OF_ONE[0], {**PAGE, "user_id": 1}, "unsynced"),
    "own count": (
        OF_ONE[1],
        {"user_id": 1},
        "unsynced",
    ),
    "due": (sales.DUE, {"now": NOW, "limit": 10}, "ix_sales_due"),
    "any due": (sales.ANY_DUE, {"now": NOW}, "ix_sales_due"),
    "local_id": (
        sales.BY_LOCAL_ID,
        {"local_ids": ["L10001", "L10002"]},
        "sales_local_id|autoindex_sales",
    ),
    "id": (sales.BY_ID, {"ids": [10_001, 10_002]}, "pk_sales|INTEGER PRIMARY KEY"),
    "one id": (sales.ONE_BY_ID, {"key": 10_001}, "pk_sales|INTEGER PRIMARY KEY"),
    "one local_id": (
        sales.ONE_BY_LOCAL_ID,
        {"key": "L10001"},
        "sales_local_id|autoindex_sales",
    ),
    "number": (sales.ONE_BY_NUMBER, {"key": "N1"}, "sales_number|autoindex_sales"),
    "items": (sales.BY_ID, {"ids": [10_001, 10_002]}, "pk_sale_items|autoindex_sale_items"),
    "copies": (
        copies.COPIES_BY_CONTENT,
        {"ids": [10_001], "fingerprints": ["F7"]},
        "ix_copies_sale_id",
    ),
    "copies as said": (
        copies.COPIES_AS_SAID,
        {"ids": [10_001], "fingerprints": ["S7"]},
        "ix_copies_sale_id",
    ),
    "bases": (copies.BASES, {"ids": [10_001], "versions": [1]}, "ix_copies_sale_id"),
    "foreign": (copies.FOREIGN_COPIES, {"ids": [10_001]}, "ix_copies_sale_id"),
    "old waits": (sales.DELETE_WAITS, {"ids": [20_001]}, "ix_waits_sale_id"),
    "old items": (sales.DELETE_ITEMS, {"ids": [10_001]}, "pk_sale_items|autoindex_sale_items"),
    "customers": (
        catalog.ACTIVE,
        {"customer_ids": [5], "product_ids": [1, 2]},
        "pk_customers|customers USING INTEGER PRIMARY KEY",
    ),
    "products": (
        catalog.ACTIVE,
        {"customer_ids": [5], "product_ids": [1, 2]},
        "pk_products|products USING INTEGER PRIMARY KEY",
    ),
    "token": (users.BY_TOKEN, {"digest": "D7"}, "uq_tokens_digest|autoindex_tokens"),
    "healed": (
        sales.HEAL,
        {
            "kind": "customer",
            "ids": [1_001],
            "now": NOW,
            "cause": "import",
            "attempts": 0,
            "is_dead": False,
        },
        "pk_waits|autoindex_waits",
    ),
}


async def test_an_index_answers_whatever_a_request_asks(filled: str) -> None:
    plans = {name: await plan_of(filled, *asked[:2]) for name, asked in ASKED.items()}

    wrong = {
        name: plan
        for name, plan in plans.items()
        if not any(index in plan for index in ASKED[name][2].split("|"))
    }
    assert wrong == {}


async def test_nothing_that_a_request_asks_reads_a_table_whole(filled: str) -> None:
    plans = {name: await plan_of(filled, *asked[:2]) for name, asked in ASKED.items()}

    # SQLite's own words; "SCAN json_each" and a scan of an index are fine.
    whole = re.compile(
        r"SCAN (sales|sale_items|copies|waits|tokens|users|customers|products)$|Seq Scan",
        re.MULTILINE,
    )
    assert {name: plan for name, plan in plans.items() if whole.search(plan)} == {}


class CountingSession:
    """A session that counts the calls it passes on."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.calls = 0

    async def fetch(self, statement: Statement, /, **values: Any) -> list[Row]:
        self.calls += 1
        return await self._session.fetch(statement, **values)

    async def execute(self, statement: Statement, /, **values: Any) -> int:
        self.calls += 1
        return await self._session.execute(statement, **values)

    async def execute_many(
        self, statement: Statement, rows: Sequence[Mapping[str, Any]], /
    ) -> None:
        self.calls += bool(rows)
        await self._session.execute_many(statement, rows)

    async def insert(self, statement: Insert, rows: Sequence[Sequence[Any]], /) -> None:
        self.calls += bool(rows)
        await self._session.insert(statement, rows)

    async def settle(self) -> None:
        await self._session.settle()

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        self.calls += 2
        return self._session.savepoint()


@pytest.fixture
async def store(gateway: Gateway, store_url: str) -> AsyncIterator[Store]:
    async with opened(store_url) as store:
        yield store


async def calls_for(store: Store, user: User, *sold: object, is_ok: bool = True) -> int:
    """Upload the sales in one unit of work; return how many calls the database had."""
    at = Circumstances(Actor.of(user), NOW, RetryPolicy(), 0.5)
    submissions = [
        Submission(read_sale(raw, index=index), user.id, at)
        for index, raw in enumerate(as_parsed(*sold))
    ]
    rules = UploadRules(Policy(), 500, "VTA", ZoneInfo("UTC"))

    async def count(session: Session) -> int:
        counting = CountingSession(session)
        taken = await take_all(counting, submissions, rules)
        assert all(isinstance(outcome.verdict, Success) == is_ok for _, outcome in taken)
        return counting.calls

    return await store.write(count)


SIZES = (1, 10, 100)


async def test_new_sales_cost_the_same_calls_however_many(store: Store, cashier: User) -> None:
    calls = [
        await calls_for(store, cashier, *(make_sale(items=[make_item()] * 3) for _ in range(size)))
        for size in SIZES
    ]

    assert len(set(calls)) == 1
    assert calls[0] <= 7


async def test_updates_cost_the_same_calls_however_many(store: Store, cashier: User) -> None:
    calls = []
    for size in SIZES:
        sold = [make_sale(items=[make_item()] * 3) for _ in range(size)]
        await calls_for(store, cashier, *sold)
        calls.append(await calls_for(store, cashier, *({**each, "notes": "x"} for each in sold)))

    assert len(set(calls)) == 1


async def test_replays_cost_the_same_few_calls_however_many(store: Store, cashier: User) -> None:
    calls = []
    for size in SIZES:
        sold = [make_sale() for _ in range(size)]
        await calls_for(store, cashier, *sold)
        calls.append(await calls_for(store, cashier, *sold))

    assert len(set(calls)) == 1


async def test_refused_sales_cost_the_same_calls_however_many(store: Store, cashier: User) -> None:
    calls = [
        await calls_for(
            store, cashier, *(make_sale(customer_id=777) for _ in range(size)), is_ok=False
        )
        for size in SIZES
    ]

    assert len(set(calls)) == 1


async def test_different_products_cost_no_further_calls(store: Store, cashier: User) -> None:
    few = make_sale(items=[make_item()])
    many = make_sale(items=[make_item(product_id=each) for each in range(1, 100)])

    assert await calls_for(store, cashier, few) == await calls_for(store, cashier, many)
