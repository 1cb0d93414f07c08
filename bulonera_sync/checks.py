"""What can be wrong with an upload, given what is known of it: the checks, in order. Pure."""

from collections.abc import Callable, Collection, Iterator, Mapping
from decimal import Decimal
from typing import Literal

from bulonera_sync.money import ZERO, format_price
from bulonera_sync.sales import (
    Content,
    Copy,
    Fingerprints,
    Problem,
    Product,
    Sale,
)
from bulonera_sync.uploads import SaleUpload
from bulonera_sync.values import value

# What new data on the server can cure, without a change by the till.
CURABLE_CODES = frozenset({"customer_not_found", "product_not_found"})


@value
class Known:
    """The facts about one upload, all of them fetched before the decision.

    `customers` and `products` hold the active ones the upload names. `content` and
    `fingerprints` are the upload's own, as `recognise` found them. `copies` are those of the
    stored sale whose content the upload repeats; `base` is the server's content at the upload's
    version; `foreign_copies` counts the other users' payloads already kept with the sale.
    """

    user_id: int
    customers: Collection[int]
    products: Mapping[int, Product]
    content: Content | None
    fingerprints: Fingerprints
    sale: Sale | None = None
    copies: tuple[Copy, ...] = ()
    base: Content | None = None
    foreign_copies: int = 0


@value
class Missing:
    """A customer or a product that the catalogue lacks, or holds as inactive."""

    kind: Literal["customer", "product"]
    id: int


def recognise(
    upload: SaleUpload, sale: Sale | None, products: Mapping[int, Product]
) -> tuple[Content | None, Fingerprints]:
    """Return the upload's content, None while a default is unknown, and its fingerprints."""
    content = upload.content(tax_defaults(upload, sale, products))
    if content is None:
        return None, Fingerprints(upload.said)
    meant = upload.said if upload.says_all else content.fingerprint()
    return content, Fingerprints(upload.said, meant)


def tax_defaults(
    upload: SaleUpload, sale: Sale | None, products: Mapping[int, Product]
) -> Mapping[int, Decimal]:
    """Return what an omitted tax_percentage stands for, by product: fixed at the first receipt."""
    defaults = {}
    for item in upload.items:
        if item.product_id is not None and (product := products.get(item.product_id)):
            defaults[item.product_id] = product.tax_percentage or ZERO
    return {**defaults, **sale.tax_defaults} if sale else defaults


def problems_of(upload: SaleUpload, known: Known) -> tuple[Problem, ...]:
    """Return all that is wrong with an upload, in the order of the checks; empty when valid."""
    return tuple(problem for check in CHECKS for problem in check(upload, known))


def is_curable(problems: Collection[Problem]) -> bool:
    """Say whether new catalogue data alone can cure all of these problems."""
    return bool(problems) and all(problem.code in CURABLE_CODES for problem in problems)


def missing(upload: SaleUpload, known: Known) -> tuple[Missing, ...]:
    """Return what the upload names and the catalogue lacks, each once."""
    found: dict[Missing, None] = {}
    if upload.customer_id is not None and upload.customer_id not in known.customers:
        found[Missing("customer", upload.customer_id)] = None
    for product_id in upload.product_ids:
        if product_id not in known.products:
            found[Missing("product", product_id)] = None
    return tuple(found)


def has_local_id(upload: SaleUpload, known: Known) -> Iterator[Problem]:
    if upload.local_id_problem:
        yield upload.local_id_problem


def has_customer(upload: SaleUpload, known: Known) -> Iterator[Problem]:
    if upload.customer_problem:
        yield upload.customer_problem


def customer_exists(upload: SaleUpload, known: Known) -> Iterator[Problem]:
    customer_id = upload.customer_id
    if customer_id is not None and customer_id not in known.customers:
        text = f"Customer con id={customer_id} no existe en base de datos"
        yield Problem("customer_id", "customer_not_found", text)


def has_items(upload: SaleUpload, known: Known) -> Iterator[Problem]:
    if upload.items_problem:
        yield upload.items_problem


def items_are_right(upload: SaleUpload, known: Known) -> Iterator[Problem]:
    for item in upload.items:
        if item.product_problem:
            yield item.product_problem
        elif item.product_id not in known.products:
            text = f"Item #{item.place}: Producto con id={item.product_id} no existe"
            yield Problem(f"items[{item.place}].product_id", "product_not_found", text)
        yield from item.other_problems


def last_fields_are_right(upload: SaleUpload, known: Known) -> Iterator[Problem]:
    yield from upload.last_problems


Check = Callable[[SaleUpload, Known], Iterator[Problem]]


CHECKS: tuple[Check, ...] = (
    has_local_id,
    has_customer,
    customer_exists,
    has_items,
    items_are_right,
    last_fields_are_right,
)


def price_warnings(
    content: Content, products: Mapping[int, Product], tolerance: Decimal | None
) -> tuple[Problem, ...]:
    """Return a warning for each item whose price strays from the catalogue's by more percent."""
    if tolerance is None:
        return ()
    warnings = []
    for index, item in enumerate(content.items):
        product = products.get(item.product_id)
        price = product.price if product else None
        if price is None or abs(item.unit_price - price) * 100 <= price * tolerance:
            continue
        text = (
            f"Item #{index}: unit_price {format_price(item.unit_price)} se aparta más de "
            f"{tolerance.normalize():f}% del precio de catálogo {format_price(price)}"
        )
        warnings.append(Problem(f"items[{index}].unit_price", "price_deviation", text))
    return tuple(warnings)
