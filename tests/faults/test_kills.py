"""`kill -9` at any instant, between the bytes too: what was answered is there, once."""

import asyncio




from pathlib import Path

import pytest

from tests.faults.conftest import OpenShop
from tests.faults.scales import need, tries
from tests.faults.shops import Shop, assert_kept
from tests.faults.scenarios import killed_at_random, killed_between_two, stopped_in_order, undisturbed
from tests.store.databases import ON_POSTGRES


async def test_an_undisturbed_day_is_kept_as_it_was_told(shop: Shop) -> None:
    assert_kept(await undisturbed(shop))


async def test_kill_9_at_random_instants(shop: Shop) -> None:
    assert_kept(await killed_at_random(shop, tries(60, 400)))


async def test_sigterm_in_the_middle_of_batches(shop: Shop) -> None:
    assert_kept(await stopped_in_order(shop, tries(30, 200)))


@ON_POSTGRES
async def test_two_daemons_a_third_of_the_batches_sent_to_both(
    shop_on: OpenShop, store_url: str
) -> None:
    async with shop_on(store_url, boxes=2) as shop:
        assert_kept(await killed_between_two(shop, tries(60, 400)))
