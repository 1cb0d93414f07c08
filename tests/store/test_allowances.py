"""What is left of an allowance, kept: exact across gateways, not lost by a restart."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bulonera_sync.gateway import Gateway
from bulonera_sync.gateway.openings import allowances_of
from bulonera_sync.sales import User
from bulonera_sync.throttle import Rate, spend
from tests.store.databases import ON_POSTGRES, opened

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RATE = Rate(50, 3_600)


async def test_fifty_pass_at_once_and_one_every_72_seconds(
    gateway: Gateway, cashier: User, store_url: str
) -> None:
    async with opened(store_url) as store:
        allowances = await allowances_of(store)
        times = [NOW] * 51 + [NOW + timedelta(seconds=each) for each in (71, 72, 73, 144)]

        grants = [await allowances.spend(cashier.id, RATE, now) for now in times]

    assert sum(grant.is_allowed for grant in grants[:51]) == 50
    assert [grant.is_allowed for grant in grants[51:]] == [False, True, False, True]
    assert [grant.remaining for grant in grants[:51]] == [*range(49, -1, -1), 0]
    assert (grants[50].wait_seconds, grants[50].reset_seconds) == (72, 3_600)


async def test_both_ways_to_keep_it_give_the_same_answers(
    gateway: Gateway, cashier: User, store_url: str
) -> None:
    pauses = [0, 0, 100, 0.5, 72, 5_000, 0, 1, 0, 0, 36, 0, 0]
    times = [NOW + timedelta(seconds=sum(pauses[: place + 1])) for place in range(len(pauses))]
    rate = Rate(3, 216)

    async with opened(store_url) as store:
        allowances = await allowances_of(store)
        kept = [await allowances.spend(cashier.id, rate, now) for now in times]

    full_at, expected = None, []
    for now in times:
        expected.append(spend(rate, full_at, now))
        full_at = expected[-1].full_at
    assert kept == expected


async def test_each_user_has_an_allowance_of_its_own(
    gateway: Gateway, cashier: User, manager: User, store_url: str
) -> None:
    async with opened(store_url) as store:
        allowances = await allowances_of(store)
        spent = [await allowances.spend(cashier.id, RATE, NOW) for _ in range(51)]

        other = await allowances.spend(manager.id, RATE, NOW)

    assert not spent[-1].is_allowed
    assert (other.is_allowed, other.remaining) == (True, 49)


async def test_a_restart_forgets_nothing_that_was_kept(
    gateway: Gateway, cashier: User, store_url: str
) -> None:
    async with opened(store_url) as store:
        allowances = await allowances_of(store)
        for _ in range(50):
            await allowances.spend(cashier.id, RATE, NOW)
        await allowances.keep()

    async with opened(store_url) as store:
        grant = await (await allowances_of(store)).spend(cashier.id, RATE, NOW)

    assert not grant.is_allowed


async def test_a_clock_set_back_locks_nobody_out(
    gateway: Gateway, cashier: User, store_url: str
) -> None:
    async with opened(store_url) as store:
        allowances = await allowances_of(store)
        for _ in range(50):
            await allowances.spend(cashier.id, RATE, NOW)
        set_back = NOW - timedelta(days=30)

        first = await allowances.spend(cashier.id, RATE, set_back)
        refilled = await allowances.spend(cashier.id, RATE, set_back + timedelta(hours=1))

    assert (first.is_allowed, first.wait_seconds) == (False, 72)
    assert (refilled.is_allowed, refilled.remaining) == (True, 49)


@ON_POSTGRES
async def test_several_gateways_together_let_exactly_fifty_pass(
    gateway: Gateway, cashier: User, store_url: str
) -> None:
    async with opened(store_url) as one, opened(store_url) as other:
        shared = [await allowances_of(each) for each in (one, other)]

        grants = await asyncio.gather(
            *(shared[place % 2].spend(cashier.id, RATE, NOW) for place in range(80))
        )

    assert sum(grant.is_allowed for grant in grants) == 50
    left = sorted(grant.remaining for grant in grants if grant.is_allowed)
    assert left == list(range(50))


@pytest.mark.parametrize("rate", [Rate(1, 1), Rate(7, 60), Rate(9_999_999, 1)], ids=str)
async def test_rates_that_divide_badly_are_exact_too(
    gateway: Gateway, cashier: User, store_url: str, rate: Rate
) -> None:
    async with opened(store_url) as store:
        allowances = await allowances_of(store)

        grants = [await allowances.spend(cashier.id, rate, NOW) for _ in range(9)]

    passed = sum(grant.is_allowed for grant in grants)
    assert passed == min(rate.limit, 9)
