"""`conflicts`: the sales that were edited on both sides, and wait for a decision."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from bulonera_sync.cli.invocations import read, settings_of
from bulonera_sync.cli.output import AsJson, listing, print_json, tell_rest
from bulonera_sync.cli.pending import (
    Choice,
    LimitOption,
    SinceOption,
    UserOption,
    document_of,
    find,
    since_of,
)
from bulonera_sync.cli.words import ago, joined, phrase, plural
from bulonera_sync.errors import NotFoundError
from bulonera_sync.times import time_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulonera_sync.cli.pages import Page
    from bulonera_sync.gateway import FoundSale, Gateway, PendingSale
    from bulonera_sync.outcomes import ConflictFound
    from bulonera_sync.sales import Parked


@dataclass(frozen=True, slots=True)
class Dispute:
    """A sale in conflict: its row, whose it is, the client's side, and both sides compared."""

    row: "PendingSale"
    username: str
    parked: "Parked"
    conflict: "ConflictFound"


def conflicts(
    context: typer.Context,
    user: UserOption = None,
    since: SinceOption = None,
    limit: LimitOption = 50,
    as_json: AsJson = False,
) -> None:
    """Show the sales that wait for a decision.

    Oldest first: whose they are, in what both sides differ, and why they can't both be kept.
    """
    zone = settings_of(context).sync.zone
    choice = Choice(("conflict",), user, since_of(since, zone))
    disputes, total = read(context, lambda gateway: _disputes(gateway, choice, limit))
    if as_json:
        rows = [_document(dispute) for dispute in disputes]
        print_json(listing(rows, total=total))
        return
    _page(choice, disputes, datetime.now(UTC)).show()
    tell_rest(len(disputes), total)


async def _disputes(
    gateway: "Gateway", choice: Choice, limit: int
) -> "tuple[Sequence[Dispute], int]":
    from bulonera_sync.sales import OPERATOR

    found = await find(gateway, choice, limit=limit)
    disputes = []
    for row in found.rows:
        try:
            sale = await gateway.find_sale(OPERATOR, row.id)
        except NotFoundError:
            continue
        disputes.extend(_dispute(row, sale))
    # Settled in between is settled.
    return disputes, found.total - (len(found.rows) - len(disputes))


def _dispute(row: "PendingSale", found: "FoundSale") -> list[Dispute]:
    from bulonera_sync.conflicts import conflict_of

    parked = found.sale.parked
    if parked is None:
        return []
    return [Dispute(row, found.username, parked, conflict_of(found.sale, parked, found.base))]


def _document(dispute: Dispute) -> "Mapping[str, object]":
    from bulonera_sync.gateway.documents import conflict_data

    row, conflict = dispute.row, dispute.conflict
    return {
        **document_of(row, {row.user_id: dispute.username}),
        "conflict_at": time_text(dispute.parked.parked_at),
        "code": conflict.code,
        "message": conflict.message,
        "conflict_data": conflict_data(conflict),
    }


def _page(choice: Choice, disputes: Sequence[Dispute], now: datetime) -> "Page":
    from bulonera_sync.cli.pages import Column, Page

    page = Page()
    if not disputes:
        page.say(
            phrase("No sale is in conflict.")
            if choice.is_of_all
            else phrase("No sale in conflict matches.")
        )
        return page
    page.title(
        plural(
            len(disputes),
            "{count} sale was edited on both sides and waits for a decision.",
            "{count} sales were edited on both sides and wait for a decision.",
        )
    )
    page.gap()
    page.table(
        (
            Column(phrase("Sale")),
            Column(phrase("Since")),
            Column(phrase("User"), rank=2, least=6),
            Column(phrase("Server"), rank=4, is_right=True),
            Column(phrase("Till"), rank=3, is_right=True),
        ),
        [_cells(dispute, now) for dispute in disputes],
        notes=[_difference(dispute.conflict) for dispute in disputes],
    )
    page.gap()
    number = disputes[0].row.number
    page.say(
        phrase("Next: bulonera-sync resolve {number} shows both sides and asks.", number=number)
    )
    return page


def _cells(dispute: Dispute, now: datetime) -> Sequence[str]:
    conflict = dispute.conflict
    return (
        dispute.row.number,
        ago(dispute.parked.parked_at, now),
        dispute.username,
        phrase("v{version}", version=conflict.server_version),
        phrase("v{version}", version=conflict.client_version),
    )


def _difference(conflict: "ConflictFound") -> str:
    from bulonera_sync.cli.rows import field_name
    from bulonera_sync.sales import differing_fields

    differing = differing_fields(conflict.server, conflict.client)
    fields = joined([field_name(name) for name in differing], most=10)
    why = code_in_words(conflict.code)
    return phrase("{fields}: {why}", fields=fields or phrase("nothing"), why=why)


def code_in_words(code: str) -> str:
    """Return why two sides can't both be kept."""
    match code:
        case "stale_version":
            return phrase("changed on the server after the till's copy")
        case "version_ahead":
            return phrase("the till's copy is newer than the server's")
        case "locked":
            return phrase("delivered or cancelled on the server")
        case "status_regression":
            return phrase("the till's status is behind the server's")
        case _:
            return code.replace("_", " ")
