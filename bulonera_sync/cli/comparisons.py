"""Two sides of one sale: which lines belong together, who changed what, what a choice makes.

Pure: no terminal, no store.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from bulonera_sync.merging import is_behind
from bulonera_sync.outcomes import ConflictFound
from bulonera_sync.sales import LOCKED_STATUSES, Content, Item, differing_fields

Side = Literal["server", "client"]
Author = Literal["server", "client", "both"]
Reason = Literal["version_ahead", "locked", "status_regression", "both_changed"]


@dataclass(frozen=True, slots=True)
class Line:
    """One product's line on each side, None where a side has none."""

    product_id: int
    server: Item | None
    client: Item | None
    base: Item | None

    @property
    def differs(self) -> bool:
        return self.server != self.client

    def of(self, side: Side) -> Item | None:
        return self.server if side == "server" else self.client


def paired_lines(
    server: Sequence[Item], client: Sequence[Item], base: Sequence[Item] = ()
) -> list[Line]:
    """Return the lines of both sides in the server's order, then those that only the client has."""
    pairs = _paired(server, client)
    left = list(base)
    same = [_taken(left, _is_among(*pair)) for pair in pairs]
    return [
        Line(product_id, own, other, was or _taken(left, _is_of(product_id)))
        for (own, other), was in zip(pairs, same, strict=True)
        for product_id in (_product_of(own, other),)
    ]


def lines_of(conflict: ConflictFound) -> list[Line]:
    base = conflict.base.items if conflict.base else ()
    return paired_lines(conflict.server.items, conflict.client.items, base)


_Pair = tuple[Item | None, Item | None]


def _paired(server: Sequence[Item], client: Sequence[Item]) -> list[_Pair]:
    # Equal lines first: of two lines of one product the unchanged one must not look changed.
    left = list(client)
    partners = [_taken(left, _is_among(own)) for own in server]
    partners = [
        partner or _taken(left, _is_of(own.product_id))
        for own, partner in zip(server, partners, strict=True)
    ]
    return [*zip(server, partners, strict=True), *((None, item) for item in left)]


def _is_among(*items: Item | None) -> Callable[[Item], bool]:
    return lambda item: item in items


def _is_of(product_id: int) -> Callable[[Item], bool]:
    return lambda item: item.product_id == product_id


def _taken(left: list[Item], is_wanted: Callable[[Item], bool]) -> Item | None:
    """Take the first such item out of the list."""
    for index, item in enumerate(left):
        if is_wanted(item):
            return left.pop(index)
    return None


def _product_of(server: Item | None, client: Item | None) -> int:
    item = server or client
    assert item is not None
    return item.product_id


def author_of(was: object, server: object, client: object) -> Author:
    """Say who changed a value that the sides have not in common."""
    if server == was:
        return "client"
    return "server" if client == was else "both"


def reason_of(conflict: ConflictFound) -> Reason:
    """Say why it is a conflict, as the server's side is now."""
    server, client = conflict.server.status, conflict.client.status
    match conflict.code:
        case "version_ahead" if conflict.client_version > conflict.server_version:
            return "version_ahead"
        case "locked" if server in LOCKED_STATUSES:
            return "locked"
        case "status_regression" if is_behind(client, server):
            return "status_regression"
        case _:
            return "both_changed"


# What is asked field by field: a field's name, or a line that differs.
Question = str | Line


def questions_of(conflict: ConflictFound) -> list[Question]:
    """Return what differs, in the guide's order; of the items each line that differs."""
    questions: list[Question] = []
    for name in differing_fields(conflict.server, conflict.client):
        lines = [line for line in lines_of(conflict) if line.differs]
        # The same lines in another order: there the items are one field.
        questions += lines if name == "items" and lines else [name]
    return questions


def chosen(
    conflict: ConflictFound, questions: Sequence[Question], sides: Sequence[Side]
) -> Content:
    """Return what the answers to the questions make of the server's content."""
    answers = list(zip(questions, sides, strict=True))
    changes: dict[str, Any] = {
        asked: getattr(conflict.client, asked)
        for asked, side in answers
        if isinstance(asked, str) and side == "client"
    }
    line_sides = [side for asked, side in answers if isinstance(asked, Line)]
    if line_sides:
        changes["items"] = _chosen_items(conflict, line_sides)
    return replace(conflict.server, **changes)


def _chosen_items(conflict: ConflictFound, sides: Sequence[Side]) -> tuple[Item, ...]:
    # All from one side: in that side's order too.
    if "server" not in sides:
        return conflict.client.items
    if "client" not in sides:
        return conflict.server.items
    answers = iter(sides)
    items = [line.of(next(answers)) if line.differs else line.server for line in lines_of(conflict)]
    return tuple(item for item in items if item is not None)
