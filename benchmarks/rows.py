"""What is sold: the catalogue, and uploads of valid sales of three items, each id its own."""

import json
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

CUSTOMERS = 2_000
PRODUCTS = 20_000
ITEMS_PER_SALE = 3
# No customer of the catalogue has such an id: a sale of it is held.
MISSING_CUSTOMER = 1_000_000

_PLACE = "00000000-0000-0000-0000-000000000000"
# So many different sales a client sends in turn, at least two bodies of them.
_SALES_A_CLIENT = 200


def price_of(product_id: int) -> str:
    """A price of a hardware store's, from 1.00 to 400.99."""
    return f"{product_id * 7919 % 400 + 1}.{product_id * 31 % 100:02d}"


def make_sale(turn: int, *, customer_id: int | None = None) -> dict[str, Any]:
    """A valid sale as a till sends it, its local_id left open."""
    products = [(turn * 613 + line * 4_001) % PRODUCTS + 1 for line in range(ITEMS_PER_SALE)]
    return {
        "local_id": _PLACE,
        "customer_id": customer_id or turn * 17 % CUSTOMERS + 1,
        "status": "confirmed",
        "items": [
            {
                "product_id": product_id,
                "quantity": f"{(turn + line) % 20 + 1}.000",
                "unit_price": price_of(product_id),
                "discount_type": "none" if line else "percentage",
                "discount_value": "0" if line else "10",
                "tax_percentage": "21",
            }
            for line, product_id in enumerate(products)
        ],
        "notes": "Retira por mostrador",
        "version": 1,
    }


def new_local_ids(count: int) -> Iterator[bytes]:
    """Yield random UUIDs; `uuid` would take longer than the rest of a request."""
    digits = os.urandom(16 * count).hex().encode()
    for start in range(0, len(digits), 32):
        one = digits[start : start + 32]
        yield b"-".join((one[:8], one[8:12], b"4" + one[13:16], b"8" + one[17:20], one[20:]))


class Bodies:
    """Uploads of `size` sales, as many as asked for, each in a few microseconds a sale."""

    def __init__(self, size: int, *, first: int = 0, customer_id: int | None = None) -> None:
        self._size = size
        self._templates = [
            _template(
                [make_sale(first + turn * size + i, customer_id=customer_id) for i in range(size)]
            )
            for turn in range(max(2, _SALES_A_CLIENT // size))
        ]

    def __iter__(self) -> Iterator[bytes]:
        while True:
            for pieces in self._templates:
                filled = [pieces[0]]
                for local_id, piece in zip(new_local_ids(self._size), pieces[1:], strict=True):
                    filled += (local_id, piece)
                yield b"".join(filled)

    def first(self) -> bytes:
        return next(islice(self, 1))


def _template(sales: Sequence[dict[str, Any]]) -> list[bytes]:
    """Return the body cut where a local_id goes."""
    return json.dumps({"sales": sales}).encode().split(_PLACE.encode())


def write_catalog(folder: Path) -> None:
    """Write customers.csv and products.csv for an import."""
    customers = "\n".join(f"{i},Cliente {i},,1" for i in range(1, CUSTOMERS + 1))
    (folder / "customers.csv").write_text(f"id,name,tax_id,active\n{customers}\n")
    products = "\n".join(
        f"{i},P{i},Producto {i},{price_of(i)},21,1" for i in range(1, PRODUCTS + 1)
    )
    header = "id,code,name,price,tax_percentage,active"
    (folder / "products.csv").write_text(f"{header}\n{products}\n")
