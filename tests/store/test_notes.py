"""When a user last uploaded: known in memory at once, written down beside the uploads."""

from datetime import UTC, datetime

import pytest

from bulonera_sync.config import Settings
from bulonera_sync.gateway import Gateway, open_gateway
from bulonera_sync.sales import User
from tests.factories import as_parsed, make_sale
from tests.store.databases import run_sql

NOON = datetime(2026, 2, 16, 12, 0, 30, 250, tzinfo=UTC)
LATER = datetime(2026, 2, 16, 13, 0, tzinfo=UTC)


async def last_upload(gateway: Gateway, user: User) -> datetime | None:
    return (await gateway.find_account(user.username)).last_upload_at


async def test_an_upload_is_noted_once_it_is_written_down(
    settings: Settings, cashier: User, manager: User
) -> None:
    async with open_gateway(settings, clock=lambda: NOON) as gateway:
        await gateway.upload(cashier, as_parsed(make_sale()))
        before = await last_upload(gateway, cashier)

        await gateway.keep_notes()

        assert before is None
        assert await last_upload(gateway, cashier) == NOON
        assert await last_upload(gateway, manager) is None


async def test_what_is_noted_is_written_down_at_the_end(
    settings: Settings, gateway: Gateway, cashier: User
) -> None:
    async with open_gateway(settings, clock=lambda: NOON) as other:
        await other.upload(cashier, as_parsed(make_sale()))

    assert await last_upload(gateway, cashier) == NOON


async def test_a_replay_is_no_news(settings: Settings, gateway: Gateway, cashier: User) -> None:
    sale = make_sale()
    async with open_gateway(settings, clock=lambda: NOON) as other:
        await other.upload(cashier, as_parsed(sale))

    async with open_gateway(settings, clock=lambda: LATER) as other:
        await other.upload(cashier, as_parsed(sale))

    assert await last_upload(gateway, cashier) == NOON


async def test_what_could_not_be_written_down_is_the_next_time(
    settings: Settings, store_url: str, cashier: User
) -> None:
    gone, back = "ALTER TABLE users RENAME TO elsewhere", "ALTER TABLE elsewhere RENAME TO users"
    async with open_gateway(settings, clock=lambda: NOON) as gateway:
        await gateway.upload(cashier, as_parsed(make_sale()))
        await run_sql(store_url, gone)
        with pytest.raises(Exception, match="users"):
            await gateway.keep_notes()
        await run_sql(store_url, back)

        await gateway.keep_notes()

        assert await last_upload(gateway, cashier) == NOON


async def test_an_upload_that_began_earlier_does_not_set_it_back(
    settings: Settings, gateway: Gateway, cashier: User
) -> None:
    readings = [NOON, LATER]
    async with open_gateway(settings, clock=lambda: readings[-1]) as other:
        await other.upload(cashier, as_parsed(make_sale()))
        readings.pop()
        await other.upload(cashier, as_parsed(make_sale()))

    assert await last_upload(gateway, cashier) == LATER
