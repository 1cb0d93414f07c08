"""What is left of an allowance, kept: exact across gateways, not lost by a restart."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from bulonera_sync.gateway import Gateway
from bulonera_sync.gateway.accounts import digest_of
from bulonera_sync.gateway.openings import allowances_of
from bulonera_sync.sales import User
from bulonera_sync.store.allowances import Allowances, SharedAllowances, full_times
from bulonera_sync.store.sessions import Session, Store, T, Work
from bulonera_sync.throttle import Grant, Rate, spend
from tests.store.databases import ON_POSTGRES, opened
from tests.store.test_plans import CountingSession

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RATE = Rate(50, 3_600)


@pytest.fixture
async def ana(gateway: Gateway, cashier: User) -> str:
    """The digest of a cashier's token."""
    return digest_of((await gateway.create_token(cashier.username)).token)


@pytest.fixture
async def marta(gateway: Gateway, manager: User) -> str:
    """The digest of a manager's token."""
    return digest_of((await gateway.create_token(manager.username)).token)


async def spend_one(allowances: Allowances, digest: str, rate: Rate, now: datetime) -> Grant:
    admission = await allowances.admit(digest, rate, now)
    assert admission is not None
    return admission[1]


async def test_who_is_let_in_is_told_with_what_is_left(
    gateway: Gateway, cashier: User, ana: str, store_url: str
) -> None:
    async with opened(store_url) as store:
        allowances = await allowances_of(store)
        admissions = [await allowances.admit(ana, Rate(1, 60), NOW) for _ in range(2)]

    told = [each and (each[0], each[1].is_allowed) for each in admissions]
    assert told == [(cashier, True), (cashier, False)]


async def revoke(gateway: Gateway) -> None:
    [*_, entry] = await gateway.list_tokens()
    await gateway.revoke_token(entry.id)


async def disable(gateway: Gateway) -> None:
    await gateway.set_user_active("ana", is_active=False)


@pytest.mark.parametrize("bar", [revoke, disable])
async def test_who_is_barred_is_nobody_at_once_and_spends_nothing(
    gateway: Gateway,
    ana: str,
    store_url: str,
    bar: Callable[[Gateway], Awaitable[None]],
) -> None:
    async with opened(store_url) as store:
        allowances = await allowances_of(store)
        await spend_one(allowances, ana, RATE, NOW)
        await bar(gateway)

        barred = [await allowances.admit(each, RATE, NOW) for each in (ana, "0" * 64, "")]
        await allowances.keep()

        kept = await store.read(full_times)
    assert barred == [None] * 3
    assert list(kept.values()) == [NOW + RATE.interval]


class CountingTouches:
    """A store's way to write at once, counting the statements that go by it."""

    def __init__(self, store: Store) -> None:
        assert store.touching is not None
        self._touching = store.touching
        self.calls = 0

    async def touch(self, work: Work[T]) -> T:
        async def count(session: Session) -> T:
            counting = CountingSession(session)
            try:
                return await work(counting)
            finally:
                self.calls += counting.calls

        return await self._touching.touch(count)


@ON_POSTGRES
async def test_a_request_that_passes_is_one_statement(
    gateway: Gateway, ana: str, store_url: str
) -> None:
    async with opened(store_url) as store:
        touching = CountingTouches(store)
        allowances = SharedAllowances(touching)
        for _ in range(3):
            await spend_one(allowances, ana, RATE, NOW)

    assert touching.calls == 3


async def test_fifty_pass_at_once_and_one_every_72_seconds(
    gateway: Gateway, ana: str, store_url: str
) -> None:
    async with opened(store_url) as store:
        allowances = await allowances_of(store)
        times = [NOW] * 51 + [NOW + timedelta(seconds=each) for each in (71, 72, 73, 144)]

        grants = [await spend_one(allowances, ana, RATE, now) for now in times]

    assert sum(grant.is_allowed for grant in grants[:51]) == 50
    assert [grant.is_allowed for grant in grants[51:]] == [False, True, False, True]
    assert [grant.remaining for grant in grants[:51]] == [*range(49, -1, -1), 0]
    assert (grants[50].wait_seconds, grants[50].reset_seconds) == (72, 3_600)


async def test_both_ways_to_keep_it_give_the_same_answers(
    gateway: Gateway, ana: str, store_url: str
) -> None:
    pauses = [0, 0, 100, 0.5, 72, 5_000, 0, 1, 0, 0, 36, 0, 0]
    times = [NOW + timedelta(seconds=sum(pauses[: place + 1])) for place in range(len(pauses))]
    rate = Rate(3, 216)

    async with opened(store_url) as store:
        allowances = await allowances_of(store)
        kept = [await spend_one(allowances, ana, rate, now) for now in times]

    full_at, expected = None, []
    for now in times:
        expected.append(spend(rate, full_at, now))
        full_at = expected[-1].full_at
    assert kept == expected


async def test_each_user_has_an_allowance_of_its_own(
    gateway: Gateway, ana: str, marta: str, store_url: str
) -> None:
    async with opened(store_url) as store:
        allowances = await allowances_of(store)
        spent = [await spend_one(allowances, ana, RATE, NOW) for _ in range(51)]

        other = await spend_one(allowances, marta, RATE, NOW)

    assert not spent[-1].is_allowed
    assert (other.is_allowed, other.remaining) == (True, 49)


async def test_a_restart_forgets_nothing_that_was_kept(
    gateway: Gateway, ana: str, store_url: str
) -> None:
    async with opened(store_url) as store:
        allowances = await allowances_of(store)
        for _ in range(50):
            await spend_one(allowances, ana, RATE, NOW)
        await allowances.keep()

    async with opened(store_url) as store:
        grant = await spend_one(await allowances_of(store), ana, RATE, NOW)

    assert not grant.is_allowed


async def test_a_clock_set_back_locks_nobody_out(
    gateway: Gateway, ana: str, store_url: str
) -> None:
    async with opened(store_url) as store:
        allowances = await allowances_of(store)
        for _ in range(50):
            await spend_one(allowances, ana, RATE, NOW)
        set_back = NOW - timedelta(days=30)

        first = await spend_one(allowances, ana, RATE, set_back)
        refilled = await spend_one(allowances, ana, RATE, set_back + timedelta(hours=1))

    assert (first.is_allowed, first.wait_seconds) == (False, 72)
    assert (refilled.is_allowed, refilled.remaining) == (True, 49)


@ON_POSTGRES
async def test_several_gateways_together_let_exactly_fifty_pass(
    gateway: Gateway, ana: str, store_url: str
) -> None:
    async with opened(store_url) as one, opened(store_url) as other:
        shared = [await allowances_of(each) for each in (one, other)]

        grants = await asyncio.gather(
            *(spend_one(shared[place % 2], ana, RATE, NOW) for place in range(80))
        )

    assert sum(grant.is_allowed for grant in grants) == 50
    left = sorted(grant.remaining for grant in grants if grant.is_allowed)
    assert left == list(range(50))


@pytest.mark.parametrize("rate", [Rate(1, 1), Rate(7, 60), Rate(9_999_999, 1)], ids=str)
async def test_rates_that_divide_badly_are_exact_too(
    gateway: Gateway, ana: str, store_url: str, rate: Rate
) -> None:
    async with opened(store_url) as store:
        allowances = await allowances_of(store)

        grants = [await spend_one(allowances, ana, rate, NOW) for _ in range(9)]

    passed = sum(grant.is_allowed for grant in grants)
    assert passed == min(rate.limit, 9)
