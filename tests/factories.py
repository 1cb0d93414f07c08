"""Things to test with; each factory takes only what matters to the test."""

import json
import uuid
from decimal import Decimal
from typing import Any

from bulonera_sync.bodies import parse_body
from bulonera_sync.store.catalog import CatalogCustomer, CatalogProduct

Json = dict[str, Any]

# Customers 1 to 9 and products 1 to 99 exist; customer 90 and product 990 are inactive.
CUSTOMERS = [CatalogCustomer(i, f"Cliente {i}", "", True) for i in range(1, 10)] + [
    CatalogCustomer(90, "Cliente de antes", "", False)
]
PRODUCTS = [
    CatalogProduct(i, f"P{i}", f"Producto {i}", Decimal("25.50"), Decimal(21), True)
    for i in range(1, 100)
] + [CatalogProduct(990, "P990", "Producto de antes", Decimal(1), Decimal(21), False)]


def new_local_id() -> str:
    return str(uuid.uuid4())


def make_item(**said: Any) -> Json:
    """An item as a till sends it: 5 of product 10 at 25.50, tax 21."""
    return {
        "product_id": 10,
        "quantity": "5.000",
        "unit_price": "25.50",
        "discount_type": "none",
        "discount_value": "0",
        "tax_percentage": "21",
        **said,
    }


def make_sale(**said: Any) -> Json:
    """A valid sale as a till sends it, under a new local_id unless one is given."""
    return {
        "local_id": new_local_id(),
        "customer_id": 5,
        "status": "draft",
        "items": [make_item()],
        "notes": "",
        "version": 1,
        **said,
    }


def as_parsed(*sales: object) -> list[object]:
    """Sales as the gateway gets them from a body: every number in its own words."""
    parsed = parse_body(json.dumps(sales).encode())
    assert isinstance(parsed, list)
    return parsed
