"""`kill -9` at any instant, between the bytes too: what was answered is there, once."""

from tests.faults.conftest import OpenShop
from tests.faults.scales import need, tries
from tests.faults.scenarios import (
    answered_to_nobody,
    killed_at_a_write,
    killed_at_random,
    killed_between_two,
    stopped_in_order,
    torn,
    undisturbed,
)
from tests.faults.shops import Shop, assert_kept
from tests.store.databases import ON_POSTGRES


async def test_an_undisturbed_day_is_kept_as_it_was_told(shop: Shop) -> None:
    assert_kept(await undisturbed(shop))


async def test_kill_9_at_random_instants(shop: Shop) -> None:
    assert_kept(await killed_at_random(shop, tries(60, 400)))


async def test_sigterm_in_the_middle_of_batches(shop: Shop) -> None:
    assert_kept(await stopped_in_order(shop, tries(30, 200)))


async def test_killed_at_each_write_and_fsync_of_an_upload(shop: Shop) -> None:
    need("strace", root=True)

    assert_kept(await killed_at_a_write(shop, tries(60, 150)))


async def test_torn_requests_and_answers(shop: Shop) -> None:
    assert_kept(await torn(shop, tries(300, 2_000)))


async def test_a_reset_instead_of_an_answer(shop: Shop) -> None:
    assert_kept(await answered_to_nobody(shop, tries(100, 500)))


@ON_POSTGRES
async def test_two_daemons_a_third_of_the_batches_sent_to_both(
    shop_on: OpenShop, store_url: str
) -> None:
    async with shop_on(store_url, boxes=2) as shop:
        assert_kept(await killed_between_two(shop, tries(60, 400)))
