"""A conflict as it is looked at: both sides, who made them and when, what the ids are called."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from bulonera_sync.conflicts import conflict_of
from bulonera_sync.outcomes import ConflictFound
from bulonera_sync.sales import OPERATOR, Sale

if TYPE_CHECKING:
    from bulonera_sync.gateway import Gateway, HistoryEntry


@dataclass(frozen=True, slots=True)
class Names:
    """What the customers and the products are called, by id, as far as the catalogue knows."""

    customers: Mapping[int, str]
    products: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Mark:
    """Who did something to a sale, and when; `count` is of what else was done since the base."""

    kind: str
    who: str
    at: datetime
    count: int = 1
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """A sale as it was when somebody looked; `conflict` is None once it is in none.

    `next_id` is the next sale in conflict, None after the last; `waiting` counts them all.
    """

    sale: Sale
    conflict: ConflictFound | None
    server_mark: Mark | None
    client_mark: Mark | None
    review: Mark | None
    latest: Mark | None
    names: Names
    next_id: int | None
    waiting: int

    def is_as(self, other: "Look") -> bool:
        """Whether a decision about one is a decision about the other: both sides are the same."""
        return (self.sale.version, self.sale.parked) == (other.sale.version, other.sale.parked)


async def look_at(gateway: "Gateway", key: int | str) -> Look:
    """Look at a sale; raises `NotFoundError`."""
    found = await gateway.find_sale(OPERATOR, key)
    _, entries = await gateway.history(OPERATOR, found.sale.id)
    sale = found.sale
    conflict = conflict_of(sale, sale.parked, found.base) if sale.parked else None
    next_id, waiting = await next_conflict(gateway, after_id=sale.id)
    return Look(
        sale=sale,
        conflict=conflict,
        server_mark=_server_mark(entries, sale, conflict),
        client_mark=_client_mark(entries),
        review=_review(entries) if sale.conflict_resolution == "manual" else None,
        latest=_mark(entries[-1]) if entries else None,
        names=await _names(gateway, conflict) if conflict else Names({}, {}),
        next_id=next_id,
        waiting=waiting,
    )


async def next_conflict(gateway: "Gateway", *, after_id: int = 0) -> tuple[int | None, int]:
    """Return the id of the next sale in conflict, oldest first, and how many there are in all."""
    rows, total = await gateway.pending(
        sync_statuses={"conflict"}, user_id=None, after_id=after_id, limit=1
    )
    return (rows[0].id if rows else None), total


def _server_mark(
    entries: "Sequence[HistoryEntry]", sale: Sale, conflict: ConflictFound | None
) -> Mark | None:
    base = conflict.client_version if conflict else sale.version
    made = [each for each in entries if each.to_version and each.from_version != each.to_version]
    since = [each for each in made if each.to_version and each.to_version > base]
    return _mark(made[-1], count=len(since)) if made else None


def _client_mark(entries: "Sequence[HistoryEntry]") -> Mark | None:
    parked = [each for each in entries if each.kind == "conflict" and "code" in each.detail]
    return _mark(parked[-1]) if parked else None


def _review(entries: "Sequence[HistoryEntry]") -> Mark | None:
    asked = [each for each in entries if each.kind == "conflict" and each.detail.get("review")]
    return _mark(asked[-1]) if asked else None


def _mark(entry: "HistoryEntry", count: int = 1) -> Mark:
    who = entry.username or entry.actor
    return Mark(entry.kind, who, entry.at, count, str(entry.detail.get("notes") or ""))


async def _names(gateway: "Gateway", conflict: ConflictFound) -> Names:
    sides = [side for side in (conflict.server, conflict.client, conflict.base) if side]
    products = {item.product_id for side in sides for item in side.items}
    return Names(
        customers=await gateway.customer_names({side.customer_id for side in sides}),
        products=await gateway.product_names(products),
    )
