"""Backups and what a restored database goes on counting from, on both engines."""

import asyncio
import os
import random
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulonera_sync.config import StoreSettings
from bulonera_sync.errors import RefusedError, SchemaError, StoreUnavailableError
from bulonera_sync.gateway import Gateway, open_gateway
from bulonera_sync.gateway.backups import Backup, back_up, restore, survey_restore
from bulonera_sync.sales import User
from bulonera_sync.store import dumps
from bulonera_sync.store.backups import Spare, go_on
from bulonera_sync.store.drivers import sqlite3
from bulonera_sync.store.statistics import SKIPPED
from tests.conftest import make_settings
from tests.factories import CUSTOMERS, PRODUCTS, as_parsed, make_sale
from tests.postgres import PostgresServer
from tests.store.databases import ON_POSTGRES, ON_SQLITE, is_sqlite, run_sql

NOW = datetime(2026, 7, 3, 12, tzinfo=UTC)
NAMES = ("sale id", "number 2025", "number 2026")
COUNTERS = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 1000))

_elsewhere = count(1)


# The counters


@given(backup=COUNTERS, present=COUNTERS)
def test_no_counter_goes_on_below_what_was_issued(
    backup: dict[str, int], present: dict[str, int]
) -> None:
    going = go_on(backup, present)

    for name in NAMES:
        had = backup.get(name, 0)
        assert going.get(name, 0) == max(had, present.get(name, 0))
        assert going.get(name, 0) - going.get(SKIPPED + name, 0) == had


def test_what_was_skipped_before_stays_skipped() -> None:
    going = go_on({"sale id": 10, "skipped sale id": 4}, {"sale id": 15, "skipped sale id": 9})

    assert going == {"sale id": 15, "skipped sale id": 9}


def test_spare_numbers_are_left_in_every_year_since_the_backup() -> None:
    spare = Spare(100, NOW).of({"sale id": 7, "number 2024": 2, "number 2025": 5})

    assert spare == {"sale id": 107, "number 2025": 105, "number 2026": 100}


def test_spare_numbers_are_left_in_a_year_that_begins_here_first() -> None:
    spare = Spare(100, datetime(2026, 12, 31, 13, tzinfo=UTC)).of({"number 2026": 5})

    assert spare == {"sale id": 100, "number 2026": 105, "number 2027": 100}


# Both engines


@pytest.fixture
def url(store_url: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database, with the programs of its own Postgres on PATH."""
    if not is_sqlite(store_url):
        server: PostgresServer = request.getfixturevalue("postgres_server")
        monkeypatch.setenv("PATH", f"{server.binaries}{os.pathsep}{os.environ['PATH']}")
    return store_url


@pytest.fixture
def elsewhere(url: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where nothing is yet, on the same engine."""
    if is_sqlite(url):
        yield f"sqlite:///{tmp_path}/new/elsewhere.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"elsewhere_{next(_elsewhere)}"
    server.create_database(name)
    yield server.url(name)
    server.drop_database(name)


class Shop:
    """A database that sells: what it issued is known here, whatever becomes of it there."""

    def __init__(self, url: str, file: Path) -> None:
        self.store = StoreSettings(url=url)
        self.file = file

    async def sell(self, sales: int) -> list[tuple[int, str]]:
        """Upload new sales; return their ids and numbers."""
        async with open_gateway(make_settings(self.store.url)) as gateway:
            user = await _ana(gateway)
            raw = as_parsed(*(make_sale() for _ in range(sales)))
            outcomes = await gateway.upload(user, raw)
        return [(each.sale_id or 0, each.sale_number or "") for each in outcomes]

    async def back_up(self) -> Backup:
        return await back_up(self.store, self.file)

    async def restore(self, *, spare: int = 0) -> Path | None:
        restored, findings = await restore(self.store, self.file, now=NOW, spare=spare)
        assert findings == []
        return restored.kept

    async def synced(self) -> int:
        """Return how many sales the statistics count; the audit must find nothing."""
        async with open_gateway(make_settings(self.store.url)) as gateway:
            counts, findings = await gateway.examine()
            assert findings == []
            synced = (await gateway.standing()).sales["synced"]
        assert synced == counts["sales"]
        return synced


async def _ana(gateway: Gateway) -> User:
    accounts = {each.username: each for each in await gateway.list_accounts()}
    if "ana" not in accounts:
        await gateway.import_rows("customers", CUSTOMERS)
        await gateway.import_rows("products", PRODUCTS)
        return (await gateway.add_user("ana", "cashier"))[0]
    return User(accounts["ana"].id, "ana", "cashier")


@pytest.fixture
async def shop(url: str, tmp_path: Path) -> Shop:
    """A shop with three sales."""
    opened = Shop(url, tmp_path / "shop.backup")
    await opened.sell(3)
    return opened


async def test_a_backup_says_what_it_holds(shop: Shop) -> None:
    made = await shop.back_up()

    assert made.contents.counts == {
        "users": 1, "customers": 10, "products": 100, "sales": 3, "quarantine": 0
    }  # fmt: skip
    assert made.contents.latest is not None
    assert made.contents.latest.tzinfo is not None
    assert made.size_bytes == shop.file.stat().st_size
    assert shop.file.stat().st_mode & 0o777 == 0o600


async def test_a_backup_leaves_nothing_beside_it(shop: Shop) -> None:
    await shop.back_up()
    await shop.back_up()

    assert [each.name for each in shop.file.parent.glob("shop.backup*")] == ["shop.backup"]


async def test_what_was_issued_after_the_backup_is_not_issued_again(shop: Shop) -> None:
    await shop.back_up()
    await shop.sell(4)

    await shop.restore()

    assert await shop.synced() == 3
    assert [(sale_id, number[-5:]) for sale_id, number in await shop.sell(2)] == [
        (8, "00008"),
        (9, "00009"),
    ]
    assert await shop.synced() == 5


async def test_two_restores_of_old_backups_skip_once(shop: Shop) -> None:
    await shop.back_up()
    await shop.sell(4)
    await shop.restore()
    await shop.restore()

    [(sale_id, number)] = await shop.sell(1)

    assert (sale_id, number[-5:]) == (8, "00008")
    assert await shop.synced() == 4


async def test_a_backup_of_a_restored_database_keeps_what_was_skipped(shop: Shop) -> None:
    await shop.back_up()
    await shop.sell(4)
    await shop.restore()
    await shop.back_up()
    await shop.sell(1)

    await shop.restore()

    assert await shop.synced() == 3
    [(sale_id, number)] = await shop.sell(1)
    assert (sale_id, number[-5:]) == (9, "00009")


async def test_restored_elsewhere_it_goes_on_after_the_spare_numbers(
    shop: Shop, elsewhere: str
) -> None:
    await shop.back_up()
    other = Shop(elsewhere, shop.file)

    kept = await other.restore(spare=1000)

    assert kept is None
    assert await other.synced() == 3
    [(sale_id, number)] = await other.sell(1)
    assert (sale_id, number[-5:]) == (1004, "01004")
    assert await other.synced() == 4


async def test_the_database_of_before_can_be_restored_too(shop: Shop) -> None:
    await shop.back_up()
    await shop.sell(4)
    kept = await shop.restore()
    assert kept is not None
    assert kept.stat().st_mode & 0o777 == 0o600
    shop.file = kept

    await shop.restore()

    assert await shop.synced() == 7
    assert [sale_id for sale_id, _ in await shop.sell(1)] == [8]


async def test_a_token_id_is_not_issued_again(shop: Shop) -> None:
    await shop.back_up()
    async with open_gateway(make_settings(shop.store.url)) as gateway:
        lost = await gateway.create_token("ana")

    await shop.restore()

    async with open_gateway(make_settings(shop.store.url)) as gateway:
        assert (await gateway.create_token("ana")).id > lost.id


async def test_users_and_tokens_are_those_of_the_backup(shop: Shop) -> None:
    await shop.back_up()
    async with open_gateway(make_settings(shop.store.url)) as gateway:
        await gateway.set_user_active("ana", is_active=False)
        await gateway.add_user("beto", "cashier")

    await shop.restore()

    async with open_gateway(make_settings(shop.store.url)) as gateway:
        assert [(each.username, each.is_active) for each in await gateway.list_accounts()] == [
            ("ana", True)
        ]


async def test_a_survey_changes_nothing(shop: Shop) -> None:
    await shop.back_up()
    await shop.sell(4)

    prospect = await survey_restore(shop.store, shop.file)

    assert prospect.present is not None
    assert (prospect.backup.counts["sales"], prospect.present.counts["sales"]) == (3, 7)
    assert await shop.synced() == 7


async def test_a_newer_backup_is_refused(shop: Shop) -> None:
    await run_sql(shop.store.url, "UPDATE alembic_version SET version_num = '9999'")
    await _back_up_unasked(shop)
    await run_sql(shop.store.url, "UPDATE alembic_version SET version_num = '0001'")

    with pytest.raises(SchemaError, match="9999"):
        await survey_restore(shop.store, shop.file)
    with pytest.raises(SchemaError, match="9999"):
        await shop.restore()

    assert await shop.synced() == 3


async def _back_up_unasked(shop: Shop) -> None:
    """Back up what this program would not open."""
    path = shop.store.sqlite_path
    if path is not None:
        shutil.copyfile(path, shop.file)
        return
    process = await asyncio.create_subprocess_exec(
        "pg_dump", "--format=custom", f"--file={shop.file}", shop.store.url
    )
    assert await process.wait() == 0


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9])
async def test_a_backup_cut_short_is_refused(shop: Shop, part: float) -> None:
    await shop.back_up()
    os.truncate(shop.file, int(shop.file.stat().st_size * part))

    with pytest.raises(RefusedError, match=r"shop\.backup"):
        await survey_restore(shop.store, shop.file)
    with pytest.raises(RefusedError, match=r"shop\.backup"):
        await shop.restore()

    assert await shop.synced() == 3


async def test_what_is_no_backup_is_neither_replaced_nor_restored(shop: Shop) -> None:
    shop.file.write_text("notas")

    with pytest.raises(RefusedError, match="no backup"):
        await shop.back_up()
    with pytest.raises(RefusedError, match="no backup"):
        await survey_restore(shop.store, shop.file)

    assert shop.file.read_text() == "notas"


# SQLite


@ON_SQLITE
async def test_a_damaged_database_does_not_replace_a_good_backup(shop: Shop) -> None:
    await shop.back_up()
    good = shop.file.read_bytes()
    await run_sql(shop.store.url, "UPDATE sale_items SET quantity = quantity + 1")

    with pytest.raises(RefusedError, match="damaged in 3 places"):
        await shop.back_up()

    assert shop.file.read_bytes() == good
    assert [each.name for each in shop.file.parent.glob("shop.backup*")] == ["shop.backup"]


@ON_SQLITE
async def test_a_changed_sale_in_a_backup_is_noticed(shop: Shop) -> None:
    await shop.back_up()
    await run_sql(f"sqlite:///{shop.file}", "UPDATE sale_items SET quantity = quantity + 1")

    with pytest.raises(RefusedError, match="damaged in 3 places"):
        await shop.restore()

    assert await shop.synced() == 3


@ON_SQLITE
@pytest.mark.parametrize("name", ["gateway.db", "gateway.db-wal", "gateway.db.lock"])
async def test_the_database_is_not_its_own_backup(shop: Shop, name: str) -> None:
    shop.file = shop.file.with_name(name)

    with pytest.raises(RefusedError, match="the database itself"):
        await shop.back_up()

    assert await shop.synced() == 3


@ON_SQLITE
async def test_a_log_left_beside_is_never_applied_to_the_restored_file(shop: Shop) -> None:
    path = shop.store.sqlite_path
    assert path is not None
    await shop.back_up()
    async with open_gateway(make_settings(shop.store.url)) as gateway:
        # Copied while it is open, as a kill leaves it: the sales are in the log alone.
        raw = as_parsed(*(make_sale() for _ in range(4)))
        await gateway.upload(await _ana(gateway), raw)
        left = {end: path.with_name(path.name + end).read_bytes() for end in ("", "-wal")}
    for end, content in left.items():
        path.with_name(path.name + end).write_bytes(content)

    kept = await shop.restore()

    assert kept is not None
    assert await shop.synced() == 3
    assert [sale_id for sale_id, _ in await shop.sell(1)] == [8]
    assert (await run_sql(f"sqlite:///{kept}", "SELECT count(*) FROM sales")) == [(7,)]


@ON_SQLITE
async def test_an_unreadable_database_is_told_and_kept_as_it_is(shop: Shop) -> None:
    path = shop.store.sqlite_path
    assert path is not None
    await shop.back_up()
    ruin = bytes(range(256)) * 200
    path.write_bytes(ruin)

    prospect = await survey_restore(shop.store, shop.file)
    kept = await shop.restore(spare=50)

    assert prospect.problem == "file is not a database"
    assert kept is not None
    assert kept.read_bytes() == ruin
    assert await shop.synced() == 3
    assert [sale_id for sale_id, _ in await shop.sell(1)] == [54]


@ON_SQLITE
async def test_a_database_that_is_busy_is_not_taken_for_a_damaged_one(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shop.store.sqlite_path
    assert path is not None
    await shop.back_up()
    monkeypatch.setattr("bulonera_sync.store.sqlite.BUSY_TIMEOUT_SECONDS", 0.01)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")

        with pytest.raises(StoreUnavailableError, match="locked"):
            await shop.restore(spare=5)

    assert await shop.synced() == 3


# Postgres


@ON_POSTGRES
async def test_without_the_programs_it_is_said_what_to_install(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(RefusedError, match="pg_dump is not on PATH; install"):
        await shop.back_up()


@ON_POSTGRES
async def test_the_reason_of_a_program_is_passed_on_in_one_line(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake = tmp_path / "pg_dump"
    fake.write_text("#!/bin/sh\necho 'error: too old' >&2\necho 'detail: 18 is' >&2\nexit 1\n")
    fake.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    with pytest.raises(RefusedError, match="no backup was made: error: too old detail: 18 is"):
        await shop.back_up()


@ON_POSTGRES
@pytest.mark.parametrize(
    "place", ["postgresql://ana:s%2Fcret@{}", "postgresql://ana@{}?password=s/cret"]
)
def test_the_password_is_on_no_command_line(url: str, place: str) -> None:
    secret = place.format("db.example:5433/shop")

    assert dumps._address(secret) == "--dbname=postgresql://ana@db.example:5433/shop"
    assert dumps._environment(secret)["PGPASSWORD"] == "s/cret"


@ON_POSTGRES
async def test_a_table_of_somebody_else_stays(shop: Shop) -> None:
    await run_sql(shop.store.url, "CREATE TABLE others (id bigint)")
    await shop.back_up()

    await shop.restore()

    assert await run_sql(shop.store.url, "SELECT count(*) FROM others") == [(0,)]


@ON_POSTGRES
async def test_what_hangs_on_our_tables_stops_the_restore(shop: Shop) -> None:
    await shop.back_up()
    await shop.sell(1)
    await run_sql(shop.store.url, "CREATE VIEW numbers AS SELECT number FROM sales")

    with pytest.raises(RefusedError, match="view numbers depends on"):
        await shop.restore()

    assert await shop.synced() == 4


# Killed half-way

ROUNDS = 12
BIG = 400


async def test_killed_at_any_instant_it_is_the_old_or_the_new_one_whole(shop: Shop) -> None:
    """Two backups are put in each other's place, and every restore is killed somewhere."""
    await shop.back_up()
    small, big = shop.file, shop.file.with_name("big.backup")
    await shop.sell(BIG)
    shop.file = big
    await shop.back_up()
    chance, seen = random.Random(7), []  # noqa: S311 - the same instants each time

    for turn in range(ROUNDS):
        shop.file = (small, big)[turn % 2]
        await _restore_and_kill(shop, after=chance.uniform(0, 0.5))
        seen.append(await shop.synced())

    assert set(seen) <= {3, 3 + BIG}
    assert [sale_id for sale_id, _ in await shop.sell(1)] == [BIG + 4]
    shop.file = small
    await shop.restore()
    assert await shop.synced() == 3


async def _restore_and_kill(shop: Shop, *, after: float) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bulonera_sync", "db", "restore", str(shop.file), "--yes",
        cwd=shop.file.parent,
        env={**os.environ, "BULONERA_STORE__URL": shop.store.url},
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    # It has begun when it writes: what is before is reading.
    ended = asyncio.ensure_future(process.wait())
    while not ended.done() and not list(shop.file.parent.glob("*.part")):
        await asyncio.wait([ended], timeout=0.005)
    await asyncio.wait([ended], timeout=after)
    if not ended.done():
        process.send_signal(signal.SIGKILL)
    await ended
    await _without_orphans(shop.store.url)
    for left in shop.file.parent.glob("*.part*"):
        left.unlink()


async def _without_orphans(url: str) -> None:
    """Wait until a psql or pg_dump whose parent was killed has ended, too."""
    if not is_sqlite(url):
        ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'bulonera-sync%'"
        # Nothing here could set an event: the process is nobody's child any more.
        while await run_sql(url, f"{ours} AND datname = current_database()") != [(0,)]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
