"""What a till said: one sale of an upload, read field by field. Nothing here knows the catalogue.

Reading never fails: a field that says nothing usable is None and has its problem beside it, in
the guide's words. The order of the checks is `decisions`' matter.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from bulonera_sync.bodies import Number, dump_exactly, shorten
from bulonera_sync.codes import ProblemCode
from bulonera_sync.money import (
    HUNDRED,
    ZERO,
    TooLongError,
    line_subtotal,
    read_count,
    read_decimal,
    read_id,
)
from bulonera_sync.sales import (
    DISCOUNT_TYPES,
    STATUSES,
    Content,
    Item,
    Problem,
    fingerprint_of,
    print_of,
    said_item,
)
from bulonera_sync.values import value

MAX_NOTES = 2_000
# No sound number is longer, idle zeros apart; a longer text must not stay in memory.
MAX_CACHED = 20
# What a version column takes on both engines; no sale is edited this often.
MAX_VERSION = 2**31 - 1
MAX_ECHO = 200
# Of an item's unknown fields so many are named: each is told in ten times the bytes it takes.
MAX_UNKNOWN = 20
MAX_PROBLEMS = 100

ITEM_KEYS = frozenset(
    {
        "product_id",
        "quantity",
        "unit_price",
        "discount_type",
        "discount_value",
        "tax_percentage",
    }
)

_REQUIRED: Mapping[str, ProblemCode] = {
    "quantity": "quantity_required",
    "unit_price": "unit_price_required",
    "discount_value": "discount_value_required",
}
_INVALID: Mapping[str, ProblemCode] = {
    "quantity": "quantity_invalid",
    "unit_price": "unit_price_invalid",
    "discount_value": "discount_value_invalid",
    "tax_percentage": "tax_percentage_invalid",
}

_NIL_UUID = "00000000-0000-0000-0000-000000000000"
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_ISO_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:[Zz]|[+-]\d\d:?\d\d)", re.ASCII
)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class ItemUpload(NamedTuple):
    """One item as said; None where the field is omitted or has a problem."""

    place: int
    product_id: int | None
    quantity: Decimal | None
    unit_price: Decimal | None
    discount_type: str
    discount_value: Decimal
    tax_percentage: Decimal | None
    product_problem: Problem | None
    other_problems: tuple[Problem, ...]


@value
class SaleUpload:
    """One sale of an upload as said, with what is wrong with it beside each field.

    `local_id` is lower-case, None where it has a problem; `echo` is what the answer repeats;
    `raw` is the element as parsed, every key of it.
    """

    index: int
    local_id: str | None
    echo: str
    customer_id: int | None
    status: str
    notes: str
    version: int
    sold_at: datetime | None
    items: tuple[ItemUpload, ...]
    local_id_problem: Problem | None
    customer_problem: Problem | None
    items_problem: Problem | None
    last_problems: tuple[Problem, ...]
    has_version: bool
    said: str
    raw: object
    text: str | None

    @property
    def payload(self) -> str:
        """The JSON text of the element: as it was sent, or as it was parsed."""
        return dump_exactly(self.raw) if self.text is None else self.text

    @property
    def product_ids(self) -> Iterator[int]:
        return (item.product_id for item in self.items if item.product_id is not None)

    def own_problems(self) -> Iterator[Problem]:
        """Yield what is wrong with the sale itself, whatever the catalogue holds."""
        for problem in (self.local_id_problem, self.customer_problem, self.items_problem):
            if problem:
                yield problem
        for item in self.items:
            yield from (item.product_problem,) if item.product_problem else ()
            yield from item.other_problems
        yield from self.last_problems

    @property
    def says_all(self) -> bool:
        """Whether every item states its tax: what is said is then what is meant."""
        return all(item.tax_percentage is not None for item in self.items)

    @property
    def _has_sound_fields(self) -> bool:
        return not (
            self.customer_problem
            or self.items_problem
            or self.last_problems
            or any(item.product_problem or item.other_problems for item in self.items)
        )

    def content(self, tax_defaults: Mapping[int, Decimal]) -> Content | None:
        """Return the normalised content, or None while anything in it is unknown.

        `tax_defaults`: percentage by product id, for the items that state none.
        """
        return self.content_with(tax_defaults) if self.local_id is not None else None

    def content_with(self, tax_defaults: Mapping[int, Decimal]) -> Content | None:
        """Return the same of what has no local_id of its own: an edit, a resolution."""
        if self.customer_id is None or not self._has_sound_fields:
            return None
        items = self.built_items(tax_defaults)
        return Content(self.customer_id, self.status, items, self.notes) if items else None

    def built_items(self, tax_defaults: Mapping[int, Decimal]) -> tuple[Item, ...] | None:
        """Return the items, or None where one of them is wrong or its tax is unknown."""
        built = []
        for upload in self.items:
            item = _item(upload, tax_defaults)
            if item is None:
                return None
            built.append(item)
        return tuple(built)


def _item(item: ItemUpload, tax_defaults: Mapping[int, Decimal]) -> Item | None:
    if item.product_id is None or item.quantity is None or item.unit_price is None:
        return None
    if item.other_problems:
        return None
    tax = item.tax_percentage
    if tax is None:
        tax = tax_defaults.get(item.product_id)
    if tax is None:
        return None
    return Item(
        item.product_id,
        item.quantity,
        item.unit_price,
        item.discount_type,
        item.discount_value,
        tax,
    )


def read_sale(
    raw: object, *, index: int, max_items: int | None = None, text: str | None = None
) -> SaleUpload:
    """Read one element of `sales`, whatever it is; see contract 2. Never raises.

    `text` is the element word for word, where it is known.
    """
    payload: Mapping[str, object] = raw if isinstance(raw, dict) else {}
    local_id, echo, local_id_problem = _read_local_id(payload.get("local_id"))
    customer_id, customer_problem = _read_customer(payload.get("customer_id"))
    raw_items, items_problem = _read_items(payload.get("items"), max_items)
    items = _read_each(raw_items)
    last: list[Problem] = []
    status = _read_status(payload.get("status"), last)
    notes, notes_problem = read_notes(payload.get("notes"))
    if notes_problem:
        last.append(notes_problem)
    version = _read_version(payload.get("version"), last)
    sold_at = _read_time(payload.get("created_at"), last)
    return SaleUpload(
        index=index,
        local_id=local_id,
        echo=echo,
        customer_id=customer_id,
        status=status or "draft",
        notes=notes,
        version=version or 1,
        sold_at=sold_at,
        items=items,
        local_id_problem=local_id_problem,
        customer_problem=customer_problem,
        items_problem=items_problem,
        last_problems=tuple(last),
        has_version=version is not None,
        said=_said(payload, customer_id, status, None if notes_problem else notes, items),
        raw=raw,
        text=text,
    )


def _read_local_id(value: object) -> tuple[str | None, str, Problem | None]:
    if value is None or (type(value) is str and not value.strip()):
        text = "local_id requerido y no puede estar vacío"
        return None, "MISSING", Problem("local_id", "local_id_required", text)
    local_id = read_local_id(value)
    if local_id is not None:
        return local_id, local_id, None
    text = f"local_id debe ser UUID válido (RFC 4122), recibido: {shorten(value)}"
    echo = value if type(value) is str and len(value) <= MAX_ECHO else shorten(value, MAX_ECHO)
    return None, echo, Problem("local_id", "local_id_invalid", text)


def read_local_id(value: object) -> str | None:
    """Return a UUID in canonical form, lower-case, or None; the nil UUID is none."""
    folded = value.lower() if type(value) is str else ""
    return folded if _UUID.fullmatch(folded) and folded != _NIL_UUID else None


def _read_customer(value: object) -> tuple[int | None, Problem | None]:
    if value is None or value == "":
        return None, Problem("customer_id", "customer_required", "customer_id requerido")
    customer_id = read_id(value)
    if customer_id is None:
        text = f"customer_id debe ser un entero, recibido: {shorten(value)}"
        return None, Problem("customer_id", "customer_invalid", text)
    return customer_id, None


def _read_items(value: object, max_items: int | None) -> tuple[list[object], Problem | None]:
    if not isinstance(value, list) or not value:
        text = "Sale debe tener al menos 1 item"
        return [], Problem("items", "items_required", text)
    if max_items is not None and len(value) > max_items:
        text = f"Sale admite hasta {max_items} items"
        return [], Problem("items", "too_many_items", text)
    return value, None


def _read_each(raw_items: Sequence[object]) -> tuple[ItemUpload, ...]:
    """Read the items, but no more once what is wrong with them fills a page: `MAX_PROBLEMS`."""
    items = []
    problems = 0
    for index, raw in enumerate(raw_items):
        item = _read_item(raw, index)
        items.append(item)
        problems += len(item.other_problems) + (item.product_problem is not None)
        if problems >= MAX_PROBLEMS:
            break
    return tuple(items)


def _read_item(raw: object, index: int) -> ItemUpload:
    said: Mapping[str, object] = raw if isinstance(raw, dict) else {}
    return _read_sound_item(said, index) or read_by_field(said, index)


def _sound(places: int, is_right: Callable[[Decimal], bool]) -> Callable[[object], Decimal | None]:
    """Return what reads a number in which nothing is wrong, and gives None for any other.

    A shop's prices, quantities and taxes are few and come again with every sale.
    """

    @lru_cache(maxsize=8_192)
    def read(text: str) -> Decimal | None:
        with suppress(TooLongError):
            number = read_decimal(text, places)
            return number if number is not None and is_right(number) else None
        return None

    def read_any(value: object) -> Decimal | None:
        is_text = type(value) is str or type(value) is Number
        return read(value) if is_text and len(value) <= MAX_CACHED else None  # type: ignore[arg-type]

    return read_any


_sound_quantity = _sound(3, lambda number: number > ZERO)
_sound_price = _sound(4, lambda number: number >= ZERO)
_sound_percentage = _sound(2, lambda number: ZERO <= number <= HUNDRED)


def _read_sound_item(said: Mapping[str, object], index: int) -> ItemUpload | None:
    """Return an item as most are, nothing wrong with it; None for any other.

    Without a question more than that takes, since a sale has several.
    """
    product_id = read_id(said.get("product_id"))
    quantity = _sound_quantity(said.get("quantity"))
    unit_price = _sound_price(said.get("unit_price"))
    if product_id is None or quantity is None or unit_price is None:
        return None
    kind, said_discount = said.get("discount_type", "none"), said.get("discount_value")
    is_plain = kind == "none" and said_discount is None
    discount = ZERO if is_plain else _sound_percentage(said_discount)
    said_tax = said.get("tax_percentage")
    tax = _sound_percentage(said_tax)
    if discount is None or (tax is None and said_tax is not None) or not said.keys() <= ITEM_KEYS:
        return None
    if kind == "percentage" or (kind == "none" and not discount):
        return ItemUpload(index, product_id, quantity, unit_price, kind, discount, tax, None, ())
    return None


def read_by_field(said: Mapping[str, object], index: int) -> ItemUpload:
    """Read an item field by field, and note what is wrong with each."""
    reader = _ItemReader(said, index)
    product_id = read_id(said.get("product_id"))
    product_problem = reader.product_problem() if product_id is None else None
    quantity = reader.quantity()
    unit_price = reader.unit_price()
    discount_type, discount_value = reader.discount(quantity, unit_price)
    tax_percentage = reader.tax_percentage()
    reader.refuse_unknown_keys()
    return ItemUpload(
        index,
        product_id,
        quantity,
        unit_price,
        discount_type,
        discount_value,
        tax_percentage,
        product_problem,
        tuple(reader.problems),
    )


class _ItemReader:
    """Reads one item's fields in the order of the checks, and notes what is wrong with each."""

    __slots__ = ("_index", "_said", "problems")

    def __init__(self, said: Mapping[str, object], index: int) -> None:
        self._said = said
        self._index = index
        self.problems: list[Problem] = []

    def product_problem(self) -> Problem:
        value = self._said.get("product_id")
        if value is None or value == "":
            return self._problem("product_id", "product_required", "product_id requerido")
        text = f"product_id debe ser un entero, recibido: {shorten(value)}"
        return self._problem("product_id", "product_invalid", text)

    def quantity(self) -> Decimal | None:
        quantity = self._number("quantity", 3)
        if quantity is not None and quantity <= ZERO:
            self._refuse("quantity", "quantity_not_positive", "debe ser mayor a 0")
            return None
        return quantity

    def unit_price(self) -> Decimal | None:
        price = self._number("unit_price", 4)
        if price is not None and price < ZERO:
            self._refuse("unit_price", "unit_price_negative", "debe ser mayor o igual a 0")
            return None
        return price

    def discount(self, quantity: Decimal | None, unit_price: Decimal | None) -> tuple[str, Decimal]:
        kind = self._said.get("discount_type")
        if kind is None:
            kind = "none"
        if type(kind) is not str or kind not in DISCOUNT_TYPES:
            self._refuse(
                "discount_type", "discount_type_invalid", "debe ser none, percentage o fixed"
            )
            return "none", ZERO
        value = self._number("discount_value", 2, is_required=kind != "none")
        if value is None:
            return kind, ZERO
        self._check_discount(kind, value, quantity, unit_price)
        return kind, value

    def _check_discount(
        self, kind: str, value: Decimal, quantity: Decimal | None, unit_price: Decimal | None
    ) -> None:
        if kind == "none":
            if value != ZERO:
                self._refuse_discount("debe ser 0 con discount_type none")
        elif kind == "percentage":
            if not ZERO <= value <= HUNDRED:
                self._refuse_discount("debe estar entre 0 y 100")
        elif value < ZERO:
            self._refuse_discount("debe ser mayor o igual a 0")
        elif quantity is not None and unit_price is not None:
            subtotal = line_subtotal(quantity, unit_price)
            if value > subtotal:
                self._refuse_discount(f"no puede superar el subtotal de la línea ({subtotal})")

    def tax_percentage(self) -> Decimal | None:
        tax = self._number("tax_percentage", 2, is_required=False)
        if tax is not None and not ZERO <= tax <= HUNDRED:
            rule = "debe estar entre 0 y 100"
            self._refuse("tax_percentage", "tax_percentage_out_of_range", rule)
            return None
        return tax

    def refuse_unknown_keys(self) -> None:
        if self._said.keys() <= ITEM_KEYS:
            return
        unknown = [key for key in self._said if key not in ITEM_KEYS]
        for key in unknown[:MAX_UNKNOWN]:
            shown = shorten(key)
            text = f"campo desconocido: {shown}"
            self.problems.append(self._problem(shown, "unknown_item_field", text))

    def _number(self, name: str, places: int, *, is_required: bool = True) -> Decimal | None:
        value = self._said.get(name)
        try:
            number = read_decimal(value, places)
        except TooLongError as error:
            self._refuse(name, _INVALID[name], "debe ser número válido", f" ({error})")
            return None
        if number is not None:
            return number
        if value is not None:
            self._refuse(name, _INVALID[name], "debe ser número válido")
        elif is_required:
            problem = self._problem(name, _REQUIRED[name], f"{name} requerido")
            self.problems.append(problem)
        return None

    def _refuse_discount(self, rule: str) -> None:
        self._refuse("discount_value", "discount_value_out_of_range", rule)

    def _refuse(self, name: str, code: ProblemCode, rule: str, hint: str = "") -> None:
        text = f"{name} {rule}, recibido: {shorten(self._said[name])}{hint}"
        self.problems.append(self._problem(name, code, text))

    def _problem(self, name: str, code: ProblemCode, text: str) -> Problem:
        return Problem(f"items[{self._index}].{name}", code, f"Item #{self._index}: {text}")


def _read_status(value: object, problems: list[Problem]) -> str | None:
    if value is None:
        return "draft"
    if type(value) is str and value in STATUSES:
        return value
    text = f"status debe ser uno de {', '.join(STATUSES)}, recibido: {shorten(value)}"
    problems.append(Problem("status", "status_invalid", text))
    return None


def read_notes(value: object) -> tuple[str, Problem | None]:
    """Return a text of up to 2,000 characters that both engines can store; null is ""."""
    if value is None:
        return "", None
    if type(value) is not str:
        text = f"notes debe ser texto, recibido: {shorten(value)}"
        return "", Problem("notes", "notes_invalid", text)
    if len(value) > MAX_NOTES:
        text = f"notes admite hasta {MAX_NOTES} caracteres, recibidos: {len(value)}"
        return "", Problem("notes", "notes_too_long", text)
    if _UNSTORABLE.search(value):
        text = f"notes tiene caracteres inválidos, recibido: {shorten(value)}"
        return "", Problem("notes", "notes_invalid", text)
    return value, None


def _read_version(value: object, problems: list[Problem]) -> int | None:
    if value is None:
        return 1
    version = read_count(value, MAX_VERSION)
    if version is None:
        text = f"version debe ser un entero mayor o igual a 1, recibido: {shorten(value)}"
        problems.append(Problem("version", "version_invalid", text))
    return version


def _read_time(value: object, problems: list[Problem]) -> datetime | None:
    if value is None:
        return None
    if type(value) is str and _ISO_TIME.fullmatch(value):
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    text = f"created_at debe ser fecha ISO 8601 con zona horaria, recibido: {shorten(value)}"
    problems.append(Problem("created_at", "created_at_invalid", text))
    return None


def _said(
    payload: Mapping[str, object],
    customer_id: int | None,
    status: str | None,
    notes: str | None,
    items: tuple[ItemUpload, ...],
) -> str:
    """Fingerprint the content as said: normal forms where a field is right, else its own words."""
    raw_items = payload.get("items")
    has_items = isinstance(raw_items, list) and len(items) == len(raw_items) > 0
    if customer_id and status and notes is not None and has_items and all(map(_is_sound, items)):
        return print_of(customer_id, status, notes, [_said_item(item) for item in items])
    return fingerprint_of(
        [
            customer_id or _raw(payload.get("customer_id")),
            _raw(payload.get("status")) if status is None else status,
            _raw(payload.get("notes")) if notes is None else notes,
            [_as_said(item, raw) for item, raw in zip(items, raw_items, strict=True)]
            if isinstance(raw_items, list) and has_items
            else _raw(raw_items),
        ]
    )


def _is_sound(item: ItemUpload) -> bool:
    return item.product_id is not None and not item.other_problems


def _said_item(item: ItemUpload) -> str:
    assert item.product_id is not None
    return said_item(
        item.product_id,
        item.quantity,
        item.unit_price,
        item.discount_type,
        item.discount_value,
        item.tax_percentage,
    )


def _as_said(item: ItemUpload, raw: object) -> object:
    return json.loads(_said_item(item)) if _is_sound(item) else _raw(raw)


def _raw(value: object) -> dict[str, str]:
    # Wrapped, so that no wrong word can look like a right one.
    return {"said": json.dumps(value, sort_keys=True)}
