"""Disks that fail, fill up, stop taking writes, and lose their power."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bulonera_sync.store.upgrades import upgrade_sqlite
from tests.faults import scenarios
from tests.faults.conftest import OpenShop
from tests.faults.mounts import Disk, disk
from tests.faults.scales import need, tries
from tests.faults.shops import Shop, assert_kept
from tests.store.databases import ON_SQLITE


@pytest.fixture
def small_disk() -> Iterator[Disk]:
    need("mkfs.ext4", "mount", root=True, loop=True)
    with disk(24) as made:
        yield made


def url_on(made: Disk) -> str:
    return f"sqlite:///{made.folder}/gateway.db"


def prepare(url: str) -> None:
    upgrade_sqlite(Path(url.removeprefix("sqlite:///")), now=datetime.now(UTC))


@ON_SQLITE
@pytest.mark.parametrize("once", [True, False], ids=["once", "for a second"])
async def test_an_fsync_that_fails(shop: Shop, *, once: bool) -> None:
    need("strace", root=True)

    assert_kept(await scenarios.fsync_fails(shop, once=once))


async def test_a_disk_without_a_byte_left(shop_on: OpenShop, small_disk: Disk) -> None:
    prepare(url_on(small_disk))
    async with shop_on(url_on(small_disk)) as shop:
        assert_kept(await scenarios.disk_is_full(shop, small_disk))


async def test_a_disk_that_turns_read_only(shop_on: OpenShop, small_disk: Disk) -> None:
    prepare(url_on(small_disk))
    async with shop_on(url_on(small_disk)) as shop:
        assert_kept(await scenarios.read_only(shop, small_disk))


@ON_SQLITE
async def test_files_that_may_not_grow(shop: Shop) -> None:
    assert_kept(await scenarios.file_size_limited(shop))


@ON_SQLITE
@pytest.mark.parametrize("seconds", [0.5, 5, 20])
async def test_a_file_locked_by_another_program(shop: Shop, seconds: float) -> None:
    assert_kept(await scenarios.locked_by_another(shop, seconds))


async def test_the_power_goes_on_sqlite(shop_on: OpenShop, small_disk: Disk) -> None:
    prepare(url_on(small_disk))
    async with shop_on(url_on(small_disk)) as shop:
        verdict = await scenarios.power_cut(shop, small_disk, tries(12, 60), small_disk.mount_again)

    assert_kept(verdict)


async def test_synchronous_normal_is_caught_by_the_power_cut(
    shop_on: OpenShop, small_disk: Disk
) -> None:
    prepare(url_on(small_disk))
    async with shop_on(url_on(small_disk), seed="synchronous NORMAL") as shop:
        verdict = await scenarios.power_cut(shop, small_disk, 4, small_disk.mount_again)

    assert verdict.lost > 0
