"""What surrounds the sales: the log's disk, secrets at rest, killed starts, turned bits."""

import asyncio
import os
import random
import shutil
import sqlite3
import stat
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bulonera_sync.config import Settings, StoreSettings
from bulonera_sync.gateway import open_gateway
from tests.end_to_end.processes import http_session
from tests.faults.conftest import OpenShop
from tests.faults.daemons import Box, Zygote
from tests.faults.figures import Figures, keep
from tests.faults.mounts import Disk, disk
from tests.faults.scales import need, tries
from tests.faults.shops import Shop, assert_kept
from tests.http import SYNC, Till
from tests.postgres import PostgresServer, find_binaries
from tests.store.databases import ON_SQLITE


@pytest.fixture
def small_disk() -> Iterator[Disk]:
    need("mkfs.ext4", "mount", root=True, loop=True)
    with disk(8) as made:
        yield made


async def test_a_log_without_room_stops_no_sale_and_counts_what_it_lost(
    shop_on: OpenShop, store_url: str, small_disk: Disk
) -> None:
    file = small_disk.folder / "logs" / "sync.log"
    async with shop_on(store_url, BULONERA_LOG__FILE=str(file)) as shop:
        await shop.box.start()
        shop.open()
        await shop.sell(20)
        with small_disk.full():
            # Until the half-filled last block of the log is full, too.
            await shop.sell(200)
        await shop.sell(20)
        shutil.rmtree(file.parent)
        await shop.sell(20)
        refused = [client.refusals for client in shop.clients if client.refusals]
        verdict = await shop.settle("log disk full, log folder removed", 2)
        log = file.read_text()
        lost = file.parent.joinpath("sync.log").exists()

    assert_kept(verdict)
    assert refused == []
    assert lost
    assert "Sale synced successfully" in log


async def test_lost_lines_are_counted_in_the_log(
    shop_on: OpenShop, store_url: str, small_disk: Disk
) -> None:
    file = small_disk.folder / "logs" / "sync.log"
    async with shop_on(store_url, BULONERA_LOG__FILE=str(file)) as shop:
        await shop.box.start()
        shop.open()
        await shop.sell(20)
        with small_disk.full():
            await shop.sell(300)
        await shop.sell(20)
        assert_kept(await shop.settle("log disk full", 1))

    assert "log records lost" in file.read_text()


async def test_secrets_are_nowhere_in_clear(shop: Shop, tmp_path: Path) -> None:
    tokens = [client.token for client in shop.clients]
    await shop.box.start()
    shop.open()
    await shop.sell(60)
    told = await everything_told(shop, [*tokens, f"{tokens[0]}x", "", "n"])
    told += words_of_the_process(shop.box.pid)
    await shop.drain()
    backup = tmp_path / "backup"
    trouble = await a_command(shop, "db", "backup", str(backup))
    assert_kept(await shop.settle("secrets", len(tokens)))

    assert trouble == ""
    assert not any(token in text for token in tokens for text in told)
    assert left_open(tmp_path, tokens) == []
    assert is_file(backup)


async def everything_told(shop: Shop, tokens: list[str]) -> list[str]:
    """Ask every kind of question with right and wrong tokens; return the answers."""
    told = []
    paths = ("/metrics", "/healthz", "/readyz", "/nowhere", f"{SYNC}/pending/")
    async with http_session() as http:
        for token in tokens:
            till = Till(http, shop.box.address, token)
            told += [(await till.get(path)).text for path in paths]
            told.append((await till.post(f"{SYNC}/upload/", {"sales": token})).text)
    return told


def words_of_the_process(pid: int) -> list[str]:
    process = Path(f"/proc/{pid}")
    return [(process / name).read_text() for name in ("cmdline", "environ")]


def left_open(folder: Path, tokens: list[str]) -> list[Path]:
    """Return the files that tell a token, or that others than their owner may read."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".ledger"]
    return [
        path
        for path in files
        if any(token.encode() in path.read_bytes() for token in tokens)
        or stat.S_IMODE(path.stat().st_mode) & 0o077
    ]


def is_file(path: Path) -> bool:
    return path.is_file()


async def a_command(shop: Shop, *arguments: str) -> str:
    """Run a command of the command line; return what went wrong."""
    programs = find_binaries()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bulonera_sync", *arguments),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            "BULONERA_STORE__URL": shop.store_url,
            "BULONERA_LANG": "en",
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        },
        cwd=shop.folder,
    )
    _, trouble = await process.communicate()
    return trouble.decode()


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without a table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/new.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    server.create_database("empty")
    yield server.url("empty")
    server.drop_database("empty")


async def test_a_first_start_killed_at_any_instant_can_be_started_again(
    zygote: Zygote, tmp_path: Path, empty_url: str
) -> None:
    chance = random.Random("starts")
    times = tries(12, 60)
    for _ in range(times):
        box = Box(zygote, tmp_path, empty_url)
        box.begin()
        await asyncio.sleep(chance.uniform(0, 0.12))
        await box.kill_and_wait()
    box = Box(zygote, tmp_path, empty_url)
    await box.start()
    await box.stop()

    async with open_gateway(Settings(store=StoreSettings(url=empty_url))) as gateway:
        assert (await gateway.examine())[1] == []
    engine = "sqlite" if empty_url.startswith("sqlite") else "postgres"
    keep(Figures("first start killed", engine, times, 0, 0, 0))


def read(path: Path) -> bytes:
    return path.read_bytes()


def write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


@ON_SQLITE
async def test_a_turned_bit_of_a_stored_content_is_found_and_never_answered_as_good(
    shop: Shop, store_url: str
) -> None:
    path = Path(store_url.removeprefix("sqlite:///"))
    await shop.box.start()
    shop.open()
    await shop.sell(30)
    assert_kept(await shop.settle("none", 1))
    with closing(sqlite3.connect(path)) as opened:
        opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        notes = [row[0] for row in opened.execute("SELECT notes FROM sales WHERE notes <> ''")]
    whole = read(path)
    chance = random.Random("bits")
    times = tries(40, 400)

    for _ in range(times):
        text = chance.choice(notes).encode()
        at, bit = chance.randrange(len(text)), 1 << chance.randrange(8)
        damaged = text[:at] + bytes([text[at] ^ bit]) + text[at + 1 :]
        # Wherever it stands: an update leaves the former row's bytes in the free part of a page.
        write(path, whole.replace(text, damaged))
        async with open_gateway(Settings(store=StoreSettings(url=store_url))) as gateway:
            assert (await gateway.examine())[1] != [], (text, at)
    keep(Figures("a turned bit in a content", "sqlite", times, len(notes), 0, 0))
