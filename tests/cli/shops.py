"""A shop's database to look at: sales that came some time ago, and what became of them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from rich.cells import cell_len

from bulonera_sync.bodies import parse_list_body
from bulonera_sync.config import RetrySettings, Settings
from bulonera_sync.gateway import Gateway, open_gateway
from bulonera_sync.outcomes import Outcome
from bulonera_sync.sales import OPERATOR, Role, User
from bulonera_sync.store.catalog import CatalogCustomer
from tests.factories import CUSTOMERS, PRODUCTS, Json, make_sale

T = TypeVar("T")

# Whatever a terminal could obey or be led astray by, and what has two cells or none.
HOSTILE = "\x1b]0;x\x07\x1b[2J\x9b31m\u202e\u2028\n\r [red]x[/red] :bolt: 日本 e\u0301"
HOSTILE_CUSTOMER = CatalogCustomer(8, HOSTILE, "", True)


@dataclass
class Shop:
    """A database with the factories' catalogue; each deed happens some time before now."""

    settings: Settings

    def do(self, work: Callable[[Gateway], Awaitable[T]], **ago: float) -> T:
        """Run something on the open gateway as if it were so long ago."""
        then = datetime.now(UTC) - timedelta(**ago)

        async def run() -> T:
            async with open_gateway(
                self.settings, clock=lambda: then, chance=lambda: 1.0
            ) as gateway:
                return await work(gateway)

        return asyncio.run(run())

    def user(self, name: str, role: Role = "cashier") -> User:
        return self.do(lambda gateway: gateway.add_user(name, role))[0]

    def upload(self, user: User, *sales: object, **ago: float) -> list[Outcome]:
        return self.upload_text(user, *map(json.dumps, sales), **ago)

    def upload_text(self, user: User, *sales: str, **ago: float) -> list[Outcome]:
        """Upload sales word for word."""
        body = parse_list_body(f'{{"sales": [{", ".join(sales)}]}}'.encode(), "sales")
        assert isinstance(body.value, dict)
        raw = body.value["sales"]
        return self.do(lambda gateway: gateway.upload(user, raw, body.texts), **ago)

    def conflict(self, user: User, *, till: Json, **ago: float) -> Outcome:
        """Make a sale that the server set to confirmed and the till to something else."""
        sale = make_sale(notes="a")
        [first] = self.upload(user, sale, **ago)
        key = first.sale_id
        assert key is not None
        edit = {"status": "confirmed"}
        self.do(lambda gateway: gateway.edit(OPERATOR, key, edit, 1), **ago)
        [outcome] = self.upload(user, {**sale, **till}, **ago)
        return outcome


def make_shop(settings: Settings, monkeypatch: pytest.MonkeyPatch, *, retry: RetrySettings) -> Shop:
    # Nobody listens there, whatever else runs on this machine.
    monkeypatch.setenv("BULONERA_SERVER__PORT", "1")
    shop = Shop(settings.model_copy(update={"retry": retry}))
    shop.do(lambda gateway: gateway.import_rows("customers", [*CUSTOMERS, HOSTILE_CUSTOMER]))
    shop.do(lambda gateway: gateway.import_rows("products", PRODUCTS))
    return shop


@pytest.fixture
def shop(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop whose held sales are tried again after 50 minutes."""
    return make_shop(settings, monkeypatch, retry=RetrySettings(first_delay=3000))


def is_inert(text: str) -> bool:
    """Whether nothing but line breaks could move a terminal."""
    return text.replace("\n", "").isprintable()


def widest(text: str) -> int:
    """Return how many cells the widest line has."""
    return max(map(cell_len, text.splitlines()))
