"""A database with a sale in every state, for generated requests to hit."""

from bulonera_sync.config import Settings
from bulonera_sync.gateway import open_gateway
from bulonera_sync.sales import Role
from tests.factories import CUSTOMERS, PRODUCTS, Json, as_parsed, make_item, make_sale

# Enough that what one request changes is rarely in the next one's way.
SALES = 300


def local_id_of(number: int) -> str:
    """Return the local_id of the sale with this id."""
    return f"{number:08x}-0000-4000-8000-000000000000"


async def furnish_with_sales(settings: Settings, role: Role) -> str:
    """Fill a prepared database; return the token of a user whose sales they are.

    Of every three sales one is synced, one held, one in conflict.
    """
    async with open_gateway(settings) as gateway:
        await gateway.import_rows("customers", CUSTOMERS)
        await gateway.import_rows("products", PRODUCTS)
        user, issued = await gateway.add_user("marta", role)
        assert issued is not None
        await gateway.upload(user, as_parsed(*(_sale(number) for number in range(1, SALES + 1))))
        ahead = [
            {**_sale(number), "notes": "ahead", "version": 2} for number in range(3, SALES + 1, 3)
        ]
        await gateway.upload(user, as_parsed(*ahead))
        return issued.token


def _sale(number: int) -> Json:
    item = make_item(quantity="0") if number % 3 == 2 else make_item()
    return make_sale(local_id=local_id_of(number), items=[item])
