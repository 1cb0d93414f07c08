"""A conflict as rows of texts: both sides, what they are based on, what a choice makes. Pure.

Every text from a sale or the catalogue is inert here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import assert_never

from bulonera_sync.cli.comparisons import (
    Author,
    Line,
    Question,
    author_of,
    lines_of,
    paired_lines,
)
from bulonera_sync.cli.looks import Look, Names
from bulonera_sync.cli.output import inert
from bulonera_sync.cli.words import amount, phrase, plural, quantity
from bulonera_sync.merging import is_behind
from bulonera_sync.money import format_price
from bulonera_sync.outcomes import ConflictFound
from bulonera_sync.sales import CONTENT_FIELDS, Content, Item, differing_fields

# Of a long text so much is shown from where the sides begin to differ, and what leads up to it.
EXCERPT = 150
LEAD = 20


@dataclass(frozen=True, slots=True)
class Row:
    """What it is about, a remark under it, a text for each column."""

    label: str
    remark: str
    cells: tuple[str, ...]


def differing_rows(conflict: ConflictFound, names: Names) -> list[Row]:
    """Return a row for each field and line that differs, with its total last."""
    asked = (
        question
        for name in differing_fields(conflict.server, conflict.client)
        for question in _questions(conflict, name)
    )
    return [*(_row(conflict, names, each) for each in asked), _total_row(conflict)]


def _questions(conflict: ConflictFound, name: str) -> list[Question]:
    lines = [line for line in lines_of(conflict) if line.differs] if name == "items" else []
    return list(lines) or [name]


def whole_rows(conflict: ConflictFound, names: Names) -> list[Row]:
    """Return a row for every field and line, uncut."""
    rows = []
    for name in CONTENT_FIELDS:
        asked: Sequence[Question] = lines_of(conflict) if name == "items" else [name]
        rows += [_row(conflict, names, each, is_cut=False) for each in asked]
    return [*rows, _total_row(conflict)]


def question_row(conflict: ConflictFound, names: Names, question: Question) -> Row:
    return _row(conflict, names, question, is_cut=False)


def _row(conflict: ConflictFound, names: Names, question: Question, *, is_cut: bool = True) -> Row:
    if isinstance(question, Line):
        return _line_row(conflict, names, question)
    if question == "items":
        return _order_row(conflict)
    texts = [_field_text(side, question, names) for side in _sides_of(conflict)]
    shown = _excerpts(texts) if is_cut else texts
    return Row(field_name(question), _field_remark(conflict, question), tuple(shown))


def _sides_of(conflict: ConflictFound) -> list[Content]:
    sides = [conflict.server, conflict.client]
    return [*sides, conflict.base] if conflict.base else sides


def field_name(name: str) -> str:
    match name:
        case "customer_id":
            return phrase("customer")
        case "status":
            return phrase("status")
        case "items":
            return phrase("items")
        case _:
            return phrase("notes")


def _field_text(content: Content, name: str, names: Names) -> str:
    if name == "customer_id":
        return inert(f"{content.customer_id} {names.customers.get(content.customer_id, '')}")
    if name == "notes":
        return f"“{inert(content.notes)}”" if content.notes else phrase("(none)")
    return content.status


def _field_remark(conflict: ConflictFound, name: str) -> str:
    server, client = getattr(conflict.server, name), getattr(conflict.client, name)
    if server == client or conflict.base is None:
        return ""
    return _changed_by(author_of(getattr(conflict.base, name), server, client))


def _changed_by(author: Author) -> str:
    match author:
        case "server":
            return phrase("changed by server")
        case "client":
            return phrase("changed by till")
        case "both":
            return phrase("changed by both")
        case _ as missing:
            assert_never(missing)


def _excerpts(texts: Sequence[str]) -> list[str]:
    server, client, *_ = texts
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(server, client, strict=False))
    start = 0 if server == client else max(sum(1 for _ in pairs) - LEAD, 0)
    return [_excerpt(text, start) for text in texts]


def _excerpt(text: str, start: int) -> str:
    if len(text) <= EXCERPT:
        return text
    end = start + EXCERPT
    return f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}"


def _order_row(conflict: ConflictFound) -> Row:
    counts = [
        plural(len(side.items), "{count} line", "{count} lines") for side in _sides_of(conflict)
    ]
    return Row(field_name("items"), phrase("the same, in another order"), tuple(counts))


def _line_row(conflict: ConflictFound, names: Names, line: Line) -> Row:
    items = [line.server, line.client, *([line.base] if conflict.base else [])]
    has_base = conflict.base is not None
    return Row(_product(names, line), _line_remark(line, has_base=has_base), _item_texts(items))


def _product(names: Names, line: Line) -> str:
    return inert(f"{line.product_id} {names.products.get(line.product_id, '')}".strip())


def _item_texts(items: Sequence[Item | None]) -> tuple[str, ...]:
    taxes = {item.tax_percentage for item in items if item}
    return tuple(_item_text(item, has_tax=len(taxes) > 1) if item else "-" for item in items)


def _item_text(item: Item, *, has_tax: bool) -> str:
    lines = [f"{quantity(item.quantity)} × {amount(format_price(item.unit_price))}"]
    if item.discount_value:
        lines.append(phrase("less {discount}", discount=_discount(item)))
    if has_tax:
        lines.append(phrase("tax {percent} %", percent=quantity(item.tax_percentage)))
    return "\n".join([*lines, f"= {amount(item.amounts().total)}"])


def _discount(item: Item) -> str:
    if item.discount_type == "percentage":
        return f"{quantity(item.discount_value)} %"
    return amount(item.discount_value)


def _line_remark(line: Line, *, has_base: bool) -> str:
    match (line.server, line.client, line.base):
        case (server, client, _) if server == client:
            return ""
        case (None, _, None):
            return phrase("added by till") if has_base else phrase("only on the till")
        case (_, None, None):
            return phrase("added by server") if has_base else phrase("only on the server")
        case (None, _, _):
            return phrase("removed by server")
        case (_, None, _):
            return phrase("removed by till")
        case (_, _, None):
            return phrase("added by both") if has_base else ""
        case (server, client, base):
            return _changed_by(author_of(base, server, client))


def _total_row(conflict: ConflictFound) -> Row:
    totals = [amount(side.amounts().total) for side in _sides_of(conflict)]
    return Row(phrase("total"), "", tuple(totals))


def sameness(conflict: ConflictFound) -> str:
    """Say what both sides have alike, or nothing."""
    differing = differing_fields(conflict.server, conflict.client)
    same = [field_name(name) for name in CONTENT_FIELDS if name not in differing]
    count = sum(not line.differs for line in lines_of(conflict))
    if "items" in differing and count:
        same.append(plural(count, "{count} line", "{count} lines"))
    return phrase("The same on both sides: {names}.", names=", ".join(same)) if same else ""


def result_rows(now: Content, content: Content, names: Names) -> list[Row]:
    """Return what the sale will be, whole, and what of it is something else now."""
    rows = []
    for name in CONTENT_FIELDS:
        if name == "items":
            rows += [_result_line(line, names) for line in paired_lines(now.items, content.items)]
        else:
            texts = _excerpts([_field_text(side, name, names) for side in (content, now)])
            rows.append(Row(field_name(name), "", _unless_same(texts)))
    totals = [amount(side.amounts().total) for side in (content, now)]
    return [*rows, Row(phrase("total"), "", _unless_same(totals))]


def _result_line(line: Line, names: Names) -> Row:
    remark = ""
    if line.client is None:
        remark = phrase("taken out")
    elif line.server is None:
        remark = phrase("put in")
    texts = _item_texts([line.client, line.server])
    return Row(_product(names, line), remark, _unless_same(texts))


def _unless_same(texts: Sequence[str]) -> tuple[str, str]:
    content, now = texts
    return content, phrase("the same") if content == now else now


def cautions(look: Look, content: Content) -> Iterator[str]:
    """Say what somebody may not have meant by it."""
    sale = look.sale
    if content == sale.content:
        return
    if is_behind(content.status, sale.status):
        yield phrase(
            "Caution: it is {now} on the server, and goes back to {status}.",
            now=sale.status,
            status=content.status,
        )
    if sale.payment_status != "unpaid" and content.amounts().total != sale.total:
        yield phrase(
            "Caution: it is {payment}, and its total changes.", payment=sale.payment_status
        )
    if sale.fiscal_status == "authorized":
        yield phrase("Caution: it is fiscally authorized, and is changed all the same.")


def moves(was: Content, became: Content) -> str:
    """Say which fields changed meanwhile."""
    return ", ".join(_move(was, became, name) for name in differing_fields(was, became))


def _move(was: Content, became: Content, name: str) -> str:
    facts = {"name": field_name(name)}
    if name == "status":
        return phrase("{name} {was} → {now}", **facts, was=was.status, now=became.status)
    if name == "items":
        totals = [amount(side.amounts().total) for side in (was, became)]
        return phrase("{name} ({was} → {now})", **facts, was=totals[0], now=totals[1])
    return facts["name"]
