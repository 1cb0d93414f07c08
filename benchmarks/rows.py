"""Sales to upload, and the rows the bare engine is given instead: the same ones."""

import json
import uuid
from itertools import count
from typing import Any

ITEMS_PER_SALE = 3
CUSTOMERS = 2_000
PRODUCTS = 2_000

_seed = count()


def make_sale(*, customer_id: int | None = None) -> dict[str, Any]:
    """A valid sale of three items, as a till sends it; a customer of its own makes it held."""
    turn = next(_seed)
    return {
        "local_id": str(uuid.uuid4()),
        "customer_id": customer_id or turn % CUSTOMERS + 1,
        "status": "confirmed",
        "items": [
            {
                "product_id": (turn * ITEMS_PER_SALE + line) % PRODUCTS + 1,
                "quantity": f"{turn % 20 + 1}.000",
                "unit_price": "25.50",
                "discount_type": "percentage" if line == 0 else "none",
                "discount_value": "10" if line == 0 else "0",
                "tax_percentage": "21",
            }
            for line in range(ITEMS_PER_SALE)
        ],
        "notes": "Retira por mostrador",
        "version": 1,
    }


def make_body(size: int) -> bytes:
    return json.dumps({"sales": [make_sale() for _ in range(size)]}).encode()


def write_catalog(folder: Any) -> None:
    """Write customers.csv and products.csv for an import."""
    customers = "\n".join(f"{i},Cliente {i},,1" for i in range(1, CUSTOMERS + 1))
    (folder / "customers.csv").write_text(f"id,name,tax_id,active\n{customers}\n")
    products = "\n".join(f"{i},P{i},Producto {i},25.50,21,1" for i in range(1, PRODUCTS + 1))
    header = "id,code,name,price,tax_percentage,active"
    (folder / "products.csv").write_text(f"{header}\n{products}\n")
