"""A Postgres that goes and comes back, crashes, and loses its power under the daemon."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from bulonera_sync.store.postgres_upgrades import upgrade_postgres
from tests.faults import scenarios
from tests.faults.conftest import OpenShop
from tests.faults.mounts import Disk, disk
from tests.faults.scales import need, tries
from tests.faults.shops import assert_kept
from tests.postgres import PostgresServer, find_binaries
from tests.threads import run_apart

DATABASE = "shop"


def a_server(*, place: Path | None = None) -> PostgresServer:
    binaries = find_binaries()
    if binaries is None:
        need("postgres")
        raise AssertionError("no Postgres")
    server = PostgresServer(binaries, durable=True, place=place) if place else None
    server = server or PostgresServer(binaries)
    server.start()
    server.create_database(DATABASE)
    run_apart(upgrade_postgres(server.url(DATABASE)))
    if place:
        # Made in haste: what initdb left in memory is not what this is about.
        subprocess.run(["sync", "--file-system", place], check=True)
    return server


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A Postgres of this test's own, to be ill-treated."""
    with a_server() as started:
        yield started


def terminate_backends(server: PostgresServer) -> None:
    async def terminate() -> None:
        connection = await asyncpg.connect(server.url("postgres"))
        try:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'bulonera-sync'"
            )
        finally:
            await connection.close()

    run_apart(terminate())


def kill_postmaster(server: PostgresServer) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    server.stop()


def start(server: PostgresServer) -> None:
    server.start()


def nothing() -> None:
    """What was terminated needs no mending."""


async def test_backends_terminated(shop_on: OpenShop, server: PostgresServer) -> None:
    async with shop_on(server.url(DATABASE)) as shop:
        verdict = await scenarios.outage(
            shop,
            "backends terminated",
            tries(20, 200),
            partial(terminate_backends, server),
            nothing,
        )

    assert_kept(verdict)


async def test_stopped_immediately_and_started(shop_on: OpenShop, server: PostgresServer) -> None:
    async with shop_on(server.url(DATABASE)) as shop:
        verdict = await scenarios.outage(
            shop,
            "immediate stop and start",
            tries(6, 60),
            partial(server.stop, immediate=True),
            server.start,
        )

    assert_kept(verdict)


async def test_the_postmaster_killed(shop_on: OpenShop, server: PostgresServer) -> None:
    async with shop_on(server.url(DATABASE)) as shop:
        verdict = await scenarios.outage(
            shop, "postmaster killed", tries(6, 60), partial(kill_postmaster, server), server.start
        )

    assert_kept(verdict)


async def test_half_a_minute_without_postgres(shop_on: OpenShop, server: PostgresServer) -> None:
    def wait_and_start() -> None:
        time.sleep(30)
        server.start()

    async with shop_on(server.url(DATABASE)) as shop:
        verdict = await scenarios.outage(
            shop, "30 s down", 1, partial(server.stop, immediate=True), wait_and_start
        )
        assert sum(len(client.refusals) for client in shop.clients) > 100

    assert_kept(verdict)


@pytest.fixture
def large_disk() -> Iterator[Disk]:
    need("mkfs.ext4", "mount", root=True, loop=True)
    with disk(400) as made:
        made.folder.chmod(0o755)
        yield made


async def test_the_power_goes_on_postgres(shop_on: OpenShop, large_disk: Disk) -> None:
    server = a_server(place=large_disk.folder)
    try:

        def switch_on() -> None:
            server.stop(immediate=True)
            large_disk.mount_again()
            server.start()

        async with shop_on(server.url(DATABASE)) as shop:
            verdict = await scenarios.power_cut(shop, large_disk, tries(12, 60), switch_on)
    finally:
        server.close()

    assert_kept(verdict)


async def test_a_disk_without_a_byte_left_for_postgres(shop_on: OpenShop, large_disk: Disk) -> None:
    server = a_server(place=large_disk.folder)
    try:
        async with shop_on(server.url(DATABASE)) as shop:
            verdict = await scenarios.disk_is_full(shop, large_disk)
    finally:
        server.close()

    assert_kept(verdict)
