"""`show`: one sale whole: what it is, what is wrong with it, what would cure it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any

import typer

from bulonera_sync.bodies import shorten
from bulonera_sync.cli.conflicts import code_in_words
from bulonera_sync.cli.invocations import read, settings_of
from bulonera_sync.cli.output import AsJson, print_exactly
from bulonera_sync.cli.pending import next_try
from bulonera_sync.cli.sales import SaleName, sale_key
from bulonera_sync.cli.words import ago, amount, joined, moment, phrase, plural, quantity, whole

if TYPE_CHECKING:
    from bulonera_sync.cli.pages import Page
    from bulonera_sync.gateway import FoundSale, Gateway
    from bulonera_sync.sales import Sale

INDENT = 2

Document = Mapping[str, Any]


def show(context: typer.Context, sale: SaleName, as_json: AsJson = False) -> None:
    """Show one sale whole.

    Its state and what would cure it, its items, both sides of a conflict.
    """
    from bulonera_sync.gateway.documents import sale_document

    if as_json:
        found, _ = read(context, lambda gateway: _find(gateway, sale))
        # A held sale's payload has each number as it was sent, which json.dumps can't write.
        print_exactly(sale_document(found))
        return
    found, customers = read(context, lambda gateway: _find(gateway, sale))
    zone = settings_of(context).sync.zone
    _page(found.sale, sale_document(found), customers, zone, datetime.now(UTC)).show()


async def _find(gateway: "Gateway", said: str) -> "tuple[FoundSale, Mapping[int, str]]":
    """Return the sale and the names of the customers it speaks of; raises `NotFoundError`."""
    from bulonera_sync.gateway.documents import customer_as_sent
    from bulonera_sync.money import read_id
    from bulonera_sync.sales import OPERATOR

    found = await gateway.find_sale(OPERATOR, sale_key(said))
    sale = found.sale
    ids = [each.customer_id for each in (sale.content, sale.parked and sale.parked.content) if each]
    said_id = read_id(str(customer_as_sent(sale.customer_said)))
    return found, await gateway.customer_names([*ids, *([said_id] if said_id else [])])


def _page(
    sale: "Sale", document: Document, customers: Mapping[int, str], zone: tzinfo, now: datetime
) -> "Page":
    from bulonera_sync.cli.pages import Page

    page = Page()
    page.title(phrase("{number}: {state}", number=sale.number, state=state_of(sale, now)))
    page.facts([*_facts(sale, document, customers, zone, now)])
    if sale.problems:
        page.title(phrase("What is wrong"))
        for problem in sale.problems:
            page.say(problem.message, indent=INDENT)
    cure = _cure(sale)
    if cure:
        page.title(phrase("What to do"))
        page.say(cure, indent=INDENT)
    if sale.parked is not None:
        _add_conflict(page, sale, document["conflict_data"], customers)
    if document["items"]:
        _add_items(page, document)
    else:
        _add_unread_items(page, sale, document)
    if document["notes"]:
        page.title(phrase("Notes"))
        page.say(document["notes"], indent=INDENT)
    if sale.warnings:
        page.title(phrase("Warnings"))
        for warning in sale.warnings:
            page.say(warning.message, indent=INDENT)
    return page


def state_of(sale: "Sale", now: datetime) -> str:
    """Return what became of a sale, in words."""
    from bulonera_sync.checks import is_curable

    match sale.sync_status:
        case "synced":
            return phrase("in, version {version}", version=sale.version)
        case "conflict":
            return phrase(
                "in conflict, the server's side is version {version}", version=sale.version
            )
        case "pending":
            return phrase("queued, the daemon judges it within seconds")
        case _ if not is_curable(sale.problems):
            return phrase("not in, it must be corrected")
        case _ if sale.is_dead:
            return phrase("not in, and no longer tried by itself")
        case _ if sale.next_attempt_at is None:
            return phrase("not in, it waits for an import")
        case _:
            return phrase("not in, tried again {when}", when=next_try(sale, now))


def _facts(
    sale: "Sale", document: Document, customers: Mapping[int, str], zone: tzinfo, now: datetime
) -> Iterator[tuple[str, str]]:
    yield phrase("id"), f"{sale.id}"
    yield phrase("local_id"), sale.local_id
    yield phrase("user"), document["created_by"]
    yield phrase("customer"), _customer(document["customer_id"], customers)
    # Of a held sale that can't be read nobody knows what it comes to.
    yield (
        phrase("total"),
        amount(document["total"]) if document["items"] else phrase("not known yet"),
    )
    states = (document["status"], document["payment_status"], document["fiscal_status"])
    yield (
        phrase("status"),
        phrase(
            "{status}, {payment}, fiscally {fiscal}",
            status=states[0],
            payment=states[1],
            fiscal=states[2],
        ),
    )
    if sale.sold_at is not None:
        yield phrase("sold"), _when(sale.sold_at, zone, now)
    yield phrase("came"), _when(sale.created_at, zone, now)
    if sale.sync_succeeded_at is not None:
        yield phrase("synced"), _when(sale.sync_succeeded_at, zone, now)
    if sale.is_held:
        yield phrase("tries"), whole(sale.attempts)
    if sale.conflict_resolution is not None:
        yield phrase("conflict"), _end_of(sale)


def _end_of(sale: "Sale") -> str:
    from bulonera_sync.cli.resolutions import how_it_ended

    if sale.parked is not None:
        return phrase("left for a person to decide")
    return phrase("ended: {how}", how=how_it_ended(sale.conflict_resolution or ""))


def _when(time: datetime, zone: tzinfo, now: datetime) -> str:
    return phrase("{time} ({age})", time=moment(time, zone), age=ago(time, now))


def _customer(said: object, customers: Mapping[int, str]) -> str:
    from bulonera_sync.money import read_id

    if said is None:
        return phrase("none")
    shown = shorten(said)
    customer_id = read_id(shown)
    if customer_id is None:
        return shown
    name = customers.get(customer_id, phrase("(not in the catalogue)"))
    return f"{shown} {name}"


def _cure(sale: "Sale") -> str | None:
    """Return what ends what is wrong, or None where nothing is."""
    from bulonera_sync.checks import is_curable
    from bulonera_sync.cli.groups import missing_of

    facts = {"number": sale.number}
    if sale.sync_status == "conflict":
        return phrase("bulonera-sync resolve {number} shows both sides and asks.", **facts)
    if sale.sync_status != "error":
        return None
    if is_curable(sale.problems):
        return phrase(
            "Import {missing} (bulonera-sync catalog import): the sale gets in by itself.",
            missing=joined(missing_of(sale.problems), most=10),
        )
    return phrase(
        "Send it corrected from the till, or correct it here: bulonera-sync edit {number}.", **facts
    )


def _add_items(page: "Page", document: Document) -> None:
    from bulonera_sync.cli.pages import Column

    page.title(phrase("Items"))
    items: Sequence[Document] = document["items"]
    page.table(
        (
            Column(phrase("#"), rank=3, is_right=True),
            Column(phrase("Product")),
            Column(phrase("Quantity"), is_right=True),
            Column(phrase("Price"), rank=1, is_right=True),
            Column(phrase("Discount"), rank=4, is_right=True),
            Column(phrase("Tax"), rank=2, is_right=True),
            Column(phrase("Total"), is_right=True),
        ),
        [_item_cells(item) for item in items],
        indent=INDENT,
    )
    page.gap()
    page.say(
        phrase(
            "{items}: {subtotal} - {discount} discount + {tax} tax = {total}",
            items=plural(len(items), "{count} item", "{count} items"),
            **{name: amount(document[name]) for name in ("subtotal", "discount", "tax", "total")},
        ),
        indent=INDENT,
    )


def _add_unread_items(page: "Page", sale: "Sale", document: Document) -> None:
    """Add every item word for word, each with what is wrong with it: nothing is computed."""
    from bulonera_sync.cli.pages import Column

    page.title(phrase("Items, as they were sent"))
    payload = document.get("payload")
    sent = payload.get("items") if isinstance(payload, dict) else None
    if not isinstance(sent, list) or not sent:
        page.say(phrase("none") if not sent else shorten(sent), indent=INDENT)
        return
    titles = ("Product", "Quantity", "Price", "Discount", "Tax")
    columns = (
        Column(phrase("#"), is_right=True),
        *(Column(phrase(title), least=8) for title in titles),
    )
    rows = [[str(line), *_sent_cells(item)] for line, item in enumerate(sent)]
    notes = [_wrong_with(sale, line) for line in range(len(sent))]
    page.table(columns, rows, notes=notes, indent=INDENT)


def _sent_cells(item: object) -> Sequence[str]:
    if not isinstance(item, dict):
        return [shorten(item), "", "", "", ""]
    product, quantity, price, kind, discount, tax = (
        shorten(item[name]) if item.get(name) is not None else "-"
        for name in (
            *("product_id", "quantity", "unit_price"),
            *("discount_type", "discount_value", "tax_percentage"),
        )
    )
    cut = discount if kind in {"-", "none"} else f"{discount} {kind}"
    return [product, quantity, price, cut, tax]


def _wrong_with(sale: "Sale", line: int) -> str:
    mark = f"Item #{line}: "
    wrong = [each.message.removeprefix(mark) for each in sale.problems if mark in each.message]
    return phrase("<- {why}", why="; ".join(wrong)) if wrong else ""


def _item_cells(item: Document) -> Sequence[str]:
    return (
        str(item["line"]),
        str(item["product_id"]),
        quantity(item["quantity"]),
        amount(item["unit_price"]),
        amount(item["discount"]),
        phrase("{percent}%", percent=quantity(item["tax_percentage"])),
        amount(item["total"]),
    )


def _add_conflict(
    page: "Page", sale: "Sale", conflict: Document, customers: Mapping[int, str]
) -> None:
    from bulonera_sync.cli.rows import field_name

    parked = sale.parked
    assert parked is not None
    page.title(phrase("Conflict: {why}", why=code_in_words(parked.code)))
    versions = conflict["server_version"], conflict["client_version"]
    for name in conflict["fields"]:
        page.say(phrase("The {field}", field=field_name(name)), indent=INDENT)
        for side, version in zip(("server", "client"), versions, strict=True):
            who = phrase("server") if side == "server" else phrase("till")
            text = _side(name, conflict[side][name], customers)
            page.say(
                phrase("{who}, version {version}: {text}", who=who, version=version, text=text),
                indent=2 * INDENT,
            )


def _side(name: str, value: Any, customers: Mapping[int, str]) -> str:
    match name:
        case "customer_id":
            return _customer(value, customers)
        case "items":
            return _items_in_words(value)
        case _:
            return str(value) or phrase("(empty)")


def _items_in_words(items: Sequence[Document]) -> str:
    lines = [
        phrase(
            "{quantity} of {product} at {price}",
            quantity=quantity(item["quantity"]),
            product=item["product_id"],
            price=amount(item["unit_price"]),
        )
        for item in items
    ]
    return joined(lines, most=10)
