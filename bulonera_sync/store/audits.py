"""Reading the whole database over: is every sale still what it was when it was accepted."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Integer, bindparam, func, select

from bulonera_sync.sales import Sale
from bulonera_sync.store import schema
from bulonera_sync.store.sales import find_by_ids
from bulonera_sync.store.sessions import Session
from bulonera_sync.store.statements import Statement
from bulonera_sync.store.statistics import SKIPPED
from bulonera_sync.store.types import BigId

PAGE = 500
MAX_FINDINGS = 100

_sales = schema.sales

NEXT_IDS = Statement(
    select(_sales.c.id)
    .where(_sales.c.id > bindparam("after_id", type_=BigId))
    .order_by(_sales.c.id)
    .limit(bindparam("limit", type_=Integer))
)
COUNTERS = Statement(select(schema.counters.c.name, schema.counters.c.value))
COUNTED = {
    table.name: Statement(select(func.count()).select_from(table))
    for table in (schema.users, schema.customers, schema.products, schema.sales, schema.quarantine)
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was written, and where; no sale's content."""

    place: str
    text: str


async def count_rows(session: Session) -> Mapping[str, int]:
    """Return how many rows each table that people ask about has."""
    return {name: (await session.fetch(counted))[0][0] for name, counted in COUNTED.items()}


async def audit(session: Session) -> list[Finding]:
    """Return what is wrong with the stored sales and their numbers, the first hundred."""
    findings: list[Finding] = []
    present = 0
    async for sale in _all_sales(session):
        present += 1
        findings += _findings_of(sale)
        if len(findings) >= MAX_FINDINGS:
            return findings[:MAX_FINDINGS]
    return findings + await _miscounted(session, present)


async def _all_sales(session: Session) -> AsyncIterator[Sale]:
    after_id = 0
    while True:
        rows = await session.fetch(NEXT_IDS, after_id=after_id, limit=PAGE)
        if not rows:
            return
        ids = [sale_id for (sale_id,) in rows]
        found = await find_by_ids(session, ids)
        for sale_id in ids:
            yield found[sale_id]
        after_id = ids[-1]


def _findings_of(sale: Sale) -> list[Finding]:
    if sale.content is None and sale.payload is None:
        return [Finding(sale.number, "is held without what was sent")]
    if sale.content is not None and not sale.content.items:
        return [Finding(sale.number, "is accepted without items")]
    if sale.is_damaged:
        return [Finding(sale.number, f"is not what was {_taken(sale)}: it has changed on disk")]
    if sale.content is not None and sale.content.amounts().total != sale.total:
        return [Finding(sale.number, "has a total that its items do not come to")]
    if (sale.sync_status == "conflict") != (sale.parked is not None):
        return [Finding(sale.number, f"is {sale.sync_status} against what is parked with it")]
    return []


def _taken(sale: Sale) -> str:
    return "accepted" if sale.content else "sent"


async def _miscounted(session: Session, present: int) -> list[Finding]:
    counters: dict[str, int] = dict(await session.fetch(COUNTERS))
    ids, numbers = _used(counters, "sale id"), _used(counters, "number ")
    findings = []
    if present != ids:
        findings.append(Finding("sales", f"{present} are there, {ids} ids were given out"))
    if present != numbers:
        findings.append(Finding("sales", f"{present} are there, {numbers} numbers were given out"))
    return findings


def _used(counters: Mapping[str, int], start: str) -> int:
    """Return what these counters gave out, without what restores left unused."""
    issued = sum(value for name, value in counters.items() if name.startswith(start))
    skipped = sum(value for name, value in counters.items() if name.startswith(SKIPPED + start))
    return issued - skipped
