"""The judge: what the tills were told against what another program reads in the database.

SQLite is read by Python's own module, which is not the library the daemon uses; Postgres by a
connection that is none of the gateway's.
"""

import hashlib
import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import asyncpg

from bulonera_sync.config import Settings, StoreSettings
from bulonera_sync.gateway import open_gateway
from tests.factories import Json
from tests.faults.ledgers import Ledger, Sent, Told, hash_of

Row = dict[str, Any]

SALES = "SELECT * FROM sales ORDER BY id"
ITEMS = "SELECT * FROM sale_items ORDER BY sale_id, line"
QUARANTINE = "SELECT * FROM quarantine"
EVENTS = "SELECT sale_id, count(*) AS n FROM events GROUP BY sale_id"
COPIES = "SELECT sale_id, kind, text FROM copies"


@dataclass
class Verdict:
    """What the oracle found: the sales that are lost or doubled, and everything that is wrong."""

    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    findings: list[str] = field(default_factory=list)

    def lose(self, text: str) -> None:
        self.lost += 1
        self.findings.append(f"lost: {text}")

    def double(self, text: str) -> None:
        self.doubled += 1
        self.findings.append(f"doubled: {text}")


@dataclass
class Stored:
    """The tables, read whole."""

    sales: list[Row]
    items: dict[int, list[Row]]
    quarantine: list[Row]
    events: dict[int, int]
    copies: list[Row]
    is_scaled: bool


async def judge(store_url: str, ledgers: Iterable[Ledger]) -> Verdict:
    """Compare every ledger with the database, which nobody writes to any more."""
    lines = [line for ledger in ledgers for line in ledger.read()]
    stored = await _read(store_url)
    verdict = Verdict()
    told = _told_by_sale(lines)
    verdict.acknowledged = sum(map(len, told.values()))
    _compare(stored, told, {line.local_id for line in lines}, verdict)
    _check_numbers(stored, verdict)
    verdict.findings += await _damage(store_url)
    verdict.findings += await _unguarded(store_url, stored)
    return verdict


def _told_by_sale(lines: Iterable[Sent | Told]) -> dict[str, list[Told]]:
    told: defaultdict[str, list[Told]] = defaultdict(list)
    for line in lines:
        if isinstance(line, Told):
            told[line.local_id].append(line)
    return told


def _compare(stored: Stored, told: dict[str, list[Told]], sent: set[str], verdict: Verdict) -> None:
    rows = {row["local_id"]: row for row in stored.sales}
    for local_id, times in Counter(row["local_id"] for row in stored.sales).items():
        if times > 1:
            verdict.double(f"{local_id} is stored {times} times")
    for local_id in rows.keys() - sent:
        verdict.findings.append(f"foreign: nobody sent {local_id}")
    for local_id in sent - told.keys():
        verdict.findings.append(f"queue: {local_id} was never answered")
    if stored.quarantine:
        verdict.findings.append(f"foreign: {len(stored.quarantine)} in quarantine")
    for local_id, answers in told.items():
        row = rows.get(local_id)
        if row is None:
            verdict.lose(f"{local_id}, told {answers[-1].status}, is not there")
        else:
            _compare_sale(stored, row, answers, verdict)


def _compare_sale(stored: Stored, row: Row, answers: Sequence[Told], verdict: Verdict) -> None:
    name = f"{row['number']} ({row['local_id']})"
    for told in answers:
        if (told.sale_id, told.number) != (row["id"], row["number"]):
            verdict.double(f"{name} is {row['id']}, told {told.sale_id} {told.number}")
    if not stored.events.get(row["id"]):
        verdict.findings.append(f"partial: {name} has no history")
    accepted = [told.hash for told in answers if told.status == "success"]
    if accepted:
        # The latest content is the one that was accepted first last: a replay changes nothing.
        latest = list(dict.fromkeys(accepted))[-1]
        if hash_of(_as_sent(stored, row)) != latest:
            verdict.lose(f"{name} is not the content that was accepted")
    for told in answers:
        if told.status == "error":
            _compare_held(stored, row, told, verdict)
    conflicts = [told for told in answers if told.status == "conflict"]
    if conflicts:
        _compare_conflict(row, conflicts[-1], verdict)


def _compare_held(stored: Stored, row: Row, told: Told, verdict: Verdict) -> None:
    kept = [each["text"] for each in stored.copies if each["sale_id"] == row["id"]]
    texts = [*kept, *([row["payload"]] if row["payload"] else [])]
    found = any(hashlib.sha256(text.encode()).hexdigest() == told.hash for text in texts)
    reasons = json.loads(row["problems"] or "[]")
    if not found or told.reason not in [each["message"] for each in reasons]:
        verdict.lose(f"{row['number']}: the refused payload or its reason is not kept")


def _compare_conflict(row: Row, told: Told, verdict: Verdict) -> None:
    parked = json.loads(row["parked"] or "null")
    if not parked or (row["sync_status"], parked["code"]) != ("conflict", told.reason):
        verdict.lose(f"{row['number']}: its conflict is not kept")
        return
    content = parked["content"]
    items = [
        _item_as_sent(**{name: item[name] for name in _ITEM_FIELDS}) for item in content["items"]
    ]
    client = _sale_as_sent(row["local_id"], content, items, version=parked["version"])
    if hash_of(client) != told.hash:
        verdict.lose(f"{row['number']}: what is parked is not what was sent")


_ITEM_FIELDS = (
    "product_id",
    "quantity",
    "unit_price",
    "discount_type",
    "discount_value",
    "tax_percentage",
)


def _as_sent(stored: Stored, row: Row) -> Json:
    """Make the very bytes again that the till sent, from what is stored of them."""
    scales = {"quantity": 3, "unit_price": 4, "discount_value": 2, "tax_percentage": 2}
    items = []
    for item in stored.items.get(row["id"], []):
        values = {name: item[name] for name in _ITEM_FIELDS}
        for name, places in scales.items():
            value = Decimal(values[name])
            values[name] = value.scaleb(-places) if stored.is_scaled else value
        items.append(_item_as_sent(**values))
    return _sale_as_sent(row["local_id"], row, items, version=1)


def _item_as_sent(
    product_id: int,
    quantity: Any,
    unit_price: Any,
    discount_type: str,
    discount_value: Any,
    tax_percentage: Any,
) -> Json:
    return {
        "product_id": product_id,
        "quantity": f"{Decimal(quantity):.3f}",
        "unit_price": f"{Decimal(unit_price):.2f}",
        "discount_type": discount_type,
        "discount_value": f"{Decimal(discount_value):.2f}",
        "tax_percentage": f"{Decimal(tax_percentage):.2f}",
    }


def _sale_as_sent(local_id: str, content: Any, items: list[Json], *, version: int) -> Json:
    return {
        "local_id": local_id,
        "customer_id": content["customer_id"],
        "status": content["status"],
        "items": items,
        "notes": content["notes"],
        "version": version,
    }


def _check_numbers(stored: Stored, verdict: Verdict) -> None:
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for row in stored.sales:
        prefix, year, number = row["number"].split("-")
        numbers[f"{prefix}-{year}"].append(int(number))
    for year, issued in numbers.items():
        if sorted(issued) != list(range(1, len(issued) + 1)):
            verdict.findings.append(f"numbers: those of {year} are not 1 to {len(issued)}")


async def _damage(store_url: str) -> list[str]:
    """Return what `db check` finds, which reads every sale over."""
    async with open_gateway(Settings(store=StoreSettings(url=store_url))) as gateway:
        _, findings = await gateway.examine()
    return [f"check: {each.place} {each.text}" for each in findings]


async def _read(store_url: str) -> Stored:
    if store_url.startswith("sqlite:///"):
        with closing(sqlite3.connect(store_url.removeprefix("sqlite:///"))) as opened:
            opened.row_factory = sqlite3.Row
            tables = [
                [dict(row) for row in opened.execute(query)]
                for query in (SALES, ITEMS, QUARANTINE, EVENTS, COPIES)
            ]
            return _stored(tables, is_scaled=True)
    connection = await asyncpg.connect(store_url)
    try:
        tables = [
            [dict(row) for row in await connection.fetch(query)]
            for query in (SALES, ITEMS, QUARANTINE, EVENTS, COPIES)
        ]
    finally:
        await connection.close()
    return _stored(tables, is_scaled=False)


def _stored(tables: list[list[Row]], *, is_scaled: bool) -> Stored:
    sales, items, quarantine, events, copies = tables
    by_sale: defaultdict[int, list[Row]] = defaultdict(list)
    for item in items:
        by_sale[item["sale_id"]].append(item)
    counted = {row["sale_id"]: row["n"] for row in events}
    return Stored(sales, by_sale, quarantine, counted, copies, is_scaled)


async def _unguarded(store_url: str, stored: Stored) -> list[str]:
    """Say which second row of a sale the database itself would take; nothing is left of the try."""
    if not stored.sales:
        return []
    last = stored.sales[-1]
    found = []
    for name, other in (("local_id", {"number": "X-1-1"}), ("number", {"local_id": "x"})):
        if await _takes(store_url, {**last, "id": last["id"] + 1, **other}):
            found.append(f"unguarded: the database takes a second row of one {name}")
    return found


async def _takes(store_url: str, row: Row) -> bool:
    names = ", ".join(row)
    if store_url.startswith("sqlite:///"):
        places = ", ".join("?" for _ in row)
        path = store_url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path)) as opened:
            try:
                opened.execute(f"INSERT INTO sales ({names}) VALUES ({places})", [*row.values()])
            except sqlite3.IntegrityError:
                return False
            opened.rollback()
            return True
    connection = await asyncpg.connect(store_url)
    places = ", ".join(f"${place}" for place in range(1, len(row) + 1))
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(f"INSERT INTO sales ({names}) VALUES ({places})", *row.values())
    except asyncpg.UniqueViolationError:
        return False
    else:
        return True
    finally:
        await transaction.rollback()
        await connection.close()
