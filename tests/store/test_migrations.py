"""Bringing the schema up to date: the same tables on both engines, no row lost, once only."""

import asyncio
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from bulonera_sync.config import Settings, StoreSettings
from bulonera_sync.errors import SchemaError, StoreUnavailableError
from bulonera_sync.gateway import Gateway, open_gateway, prepare_store
from bulonera_sync.gateway.openings import open_store
from bulonera_sync.sales import User
from bulonera_sync.store import postgres, postgres_upgrades, revisions, sqlite, upgrades
from bulonera_sync.store.drivers import sqlite3
from bulonera_sync.store.schema import SCHEMA_REVISION, metadata
from tests.factories import as_parsed, make_item, make_sale
from tests.postgres import PostgresServer
from tests.store.databases import ON_POSTGRES, ON_SQLITE, Rows, is_sqlite, locked, run_sql

NOW = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)
NEXT = f"{int(SCHEMA_REVISION) + 1:04d}"
_databases = count(1)

Migrate = Callable[[str], None]


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database that was never prepared."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"empty_{next(_databases)}"
    server.create_database(name)
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture
def with_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Migrate:
    """Give the program one more revision, whose upgrade runs these lines."""

    def add(lines: str) -> None:
        folder = tmp_path / "migrations"
        shutil.copytree(upgrades._MIGRATIONS, folder, dirs_exist_ok=True)
        (folder / "versions" / f"{NEXT}_next.py").write_text(
            "import sqlalchemy as sa\nfrom alembic import op\n"
            f'revision = "{NEXT}"\ndown_revision = "{SCHEMA_REVISION}"\n'
            f"def upgrade():\n{indent(dedent(lines), '    ')}\n"
        )
        monkeypatch.setattr(upgrades, "_MIGRATIONS", folder)
        monkeypatch.setattr(upgrades, "SCHEMA_REVISION", NEXT)
        monkeypatch.setattr(revisions, "SCHEMA_REVISION", NEXT)

    return add


@pytest.fixture
async def filled(gateway: Gateway, cashier: User, store_url: str) -> str:
    """A database with rows in every table."""
    sale = make_sale(items=[make_item()] * 3)
    await gateway.create_token("ana")
    await gateway.upload(cashier, as_parsed(sale, make_sale(customer_id=777), {"local_id": "x"}))
    await gateway.upload(cashier, as_parsed({**sale, "notes": "dos"}))
    await gateway.upload(cashier, as_parsed({**sale, "notes": "tres", "version": 9}))
    await run_sql(
        store_url,
        "INSERT INTO allowances (user_id, full_at) SELECT id, created_at FROM users",
    )
    return store_url


async def everything_in(url: str) -> Mapping[str, Rows]:
    """Every row of every table, by table."""
    return {
        table.name: await run_sql(
            url,
            f"SELECT {', '.join(column.name for column in table.columns)} "  # noqa: S608
            f"FROM {table.name} ORDER BY {', '.join(c.name for c in table.primary_key)}",
        )
        for table in metadata.sorted_tables
    }


async def prepare(url: str) -> Path | None:
    return await prepare_store(StoreSettings(url=url), now=NOW)


async def revision_in(url: str) -> str:
    [(revision,)] = await run_sql(url, "SELECT version_num FROM alembic_version")
    return str(revision)


async def test_the_migrations_build_exactly_the_tables_of_the_program(store_url: str) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        return list(compare_metadata(context, metadata))

    if is_sqlite(store_url):
        engine = create_engine("sqlite://", module=sqlite3, creator=lambda: _raw(store_url))
        with engine.connect() as connection:
            found = differences(connection)
        engine.dispose()
    else:
        made = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=lambda: asyncpg.connect(store_url),
            poolclass=NullPool,
        )
        async with made.connect() as opened:
            found = await opened.run_sync(differences)
        await made.dispose()

    assert found == []


def _raw(url: str) -> Any:
    return sqlite3.connect(url.removeprefix("sqlite:///"))


def test_the_schema_the_program_needs_is_the_last_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(upgrades._MIGRATIONS))

    heads = ScriptDirectory.from_config(config).get_heads()

    assert heads == [SCHEMA_REVISION]


async def test_an_unprepared_database_is_told_apart(empty_url: str) -> None:
    if is_sqlite(empty_url):
        await run_sql(empty_url, "PRAGMA journal_mode = WAL")

    with pytest.raises(SchemaError, match="not prepared yet; bulonera-sync db upgrade"):
        await open_store(StoreSettings(url=empty_url))


async def test_a_new_database_is_prepared_without_a_copy(empty_url: str) -> None:
    copy = await prepare(empty_url)

    assert copy is None
    assert await revision_in(empty_url) == SCHEMA_REVISION


async def test_an_upgrade_of_what_is_up_to_date_changes_nothing(filled: str) -> None:
    before = await everything_in(filled)

    copy = await prepare(filled)

    assert copy is None
    assert await everything_in(filled) == before


async def test_an_upgrade_keeps_every_row_and_every_rule(filled: str, with_next: Migrate) -> None:
    with_next(
        """
        for table in ("users", "sales", "customers", "products"):
            with op.batch_alter_table(table, recreate="auto") as batch:
                batch.add_column(sa.Column("shelf", sa.String(8), nullable=True))
                batch.create_index(f"ix_{table}_shelf", ["shelf"])
        if op.get_bind().dialect.name == "sqlite":
            for table in ("users", "sales"):
                with op.batch_alter_table(table, recreate="always") as batch:
                    batch.alter_column("shelf", existing_type=sa.String(8), type_=sa.String(9))
        """
    )
    before = await everything_in(filled)
    assert all(before.values()), "a table without rows shows nothing"

    await prepare(filled)

    assert await everything_in(filled) == before
    assert await revision_in(filled) == NEXT
    assert await foreign_keys_in(filled) >= 10
    assert "sync_status <> 'synced'" in await index_of_unsynced(filled)


async def foreign_keys_in(url: str) -> int:
    if is_sqlite(url):
        tables = [table.name for table in metadata.sorted_tables]
        found = [await run_sql(url, f"PRAGMA foreign_key_list({name})") for name in tables]
        return sum(map(len, found))
    rows = await run_sql(url, "SELECT 1 FROM pg_constraint WHERE contype = 'f'")
    return len(rows)


async def index_of_unsynced(url: str) -> str:
    where = "= 'ix_sales_unsynced'"
    if is_sqlite(url):
        [(sql,)] = await run_sql(url, f"SELECT sql FROM sqlite_master WHERE name {where}")  # noqa: S608
    else:
        [(sql,)] = await run_sql(url, f"SELECT indexdef FROM pg_indexes WHERE indexname {where}")  # noqa: S608
    return str(sql).replace("::text", "").replace("(sync_status)", "sync_status")


async def test_the_gateway_works_on_after_an_upgrade(
    filled: str, with_next: Migrate, settings: Settings, cashier: User
) -> None:
    with_next(
        """
        with op.batch_alter_table("sales", recreate="auto") as batch:
            batch.add_column(sa.Column("shelf", sa.String(8), nullable=True))
        """
    )
    await prepare(filled)

    async with open_gateway(settings) as upgraded:
        [outcome] = await upgraded.upload(cashier, as_parsed(make_sale()))

    assert str(outcome.sale_number).endswith("-00003")


@ON_SQLITE
async def test_a_copy_of_a_populated_file_is_made_before_it_is_changed(
    filled: str, with_next: Migrate
) -> None:
    before = await everything_in(filled)
    with_next('op.add_column("sales", sa.Column("shelf", sa.String(8)))')

    copy = await prepare(filled)

    assert copy is not None
    assert copy.name == f"gateway.db.{SCHEMA_REVISION}-20260301T120005Z.bak"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert await revision_in(f"sqlite:///{copy}") == SCHEMA_REVISION
    assert await everything_in(f"sqlite:///{copy}") == before
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@ON_SQLITE
async def test_an_upgrade_that_would_orphan_rows_is_refused_and_undone(
    filled: str, with_next: Migrate
) -> None:
    before = await everything_in(filled)
    with_next('op.execute("DELETE FROM sales")')

    with pytest.raises(SchemaError, match="without their parent"):
        await prepare(filled)

    assert await everything_in(filled) == before
    assert await revision_in(filled) == SCHEMA_REVISION


async def test_an_upgrade_that_fails_half_way_leaves_the_database_as_it_was(
    filled: str, with_next: Migrate
) -> None:
    before = await everything_in(filled)
    with_next(
        """
        op.execute("DELETE FROM events")
        op.add_column("sales", sa.Column("shelf", sa.String(8)))
        raise ZeroDivisionError("half way")
        """
    )

    with pytest.raises(ZeroDivisionError):
        await prepare(filled)

    assert await everything_in(filled) == before
    assert await revision_in(filled) == SCHEMA_REVISION
    with pytest.raises((sqlite3.Error, asyncpg.PostgresError), match="shelf"):
        await run_sql(filled, "SELECT shelf FROM sales")


async def test_a_newer_schema_is_refused_and_left_alone(filled: str) -> None:
    await run_sql(filled, "UPDATE alembic_version SET version_num = '9999'")
    before = await everything_in(filled)

    with pytest.raises(SchemaError, match="newer"):
        await prepare(filled)
    with pytest.raises(SchemaError, match="newer"):
        await open_store(StoreSettings(url=filled))

    assert await everything_in(filled) == before
    if is_sqlite(filled):
        assert not list(Path(filled.removeprefix("sqlite:///")).parent.glob("*.bak"))


async def test_an_older_schema_is_refused_until_it_is_upgraded(
    filled: str, with_next: Migrate
) -> None:
    with_next('op.add_column("sales", sa.Column("shelf", sa.String(8)))')

    with pytest.raises(SchemaError, match="bulonera-sync db upgrade"):
        await open_store(StoreSettings(url=filled))
    await prepare(filled)

    store = await open_store(StoreSettings(url=filled))
    await store.close()


PREPARE = """
import asyncio, sys
from datetime import UTC, datetime
from bulonera_sync.config import StoreSettings
from bulonera_sync.gateway import prepare_store
sys.stdin.readline()
asyncio.run(prepare_store(StoreSettings(url=sys.argv[1]), now=datetime.now(UTC)))
"""


async def test_upgrades_at_once_prepare_the_database_once(empty_url: str) -> None:
    command = (sys.executable, "-c", PREPARE, empty_url)
    programs = [
        await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE)
        for _ in range(2)
    ]

    # Each waits for the end of its input, so that all begin together.
    await asyncio.gather(*(program.communicate(b"\n") for program in programs))

    assert [program.returncode for program in programs] == [0, 0]
    assert await run_sql(empty_url, "SELECT version_num FROM alembic_version") == [
        (SCHEMA_REVISION,)
    ]


@ON_POSTGRES
async def test_an_upgrade_waits_for_another_longer_than_a_request_would(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgres.SERVER_SETTINGS, "lock_timeout", "50ms")
    other = await asyncpg.connect(store_url)
    await other.execute(f"SELECT pg_advisory_lock({postgres_upgrades._UPGRADE_LOCK})")

    waiting = asyncio.create_task(prepare(store_url))
    while not await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
        assert not waiting.done()
    await other.execute("SELECT pg_sleep(0.1)")
    is_waiting = not waiting.done()
    await other.close()

    assert await waiting is None
    assert is_waiting


@ON_POSTGRES
async def test_an_upgrade_whose_connection_is_cut_is_unavailable_and_undone(
    filled: str, with_next: Migrate
) -> None:
    with_next(
        """
        op.add_column("sales", sa.Column("shelf", sa.String(8)))
        op.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        """
    )

    with pytest.raises(StoreUnavailableError):
        await prepare(filled)

    assert await revision_in(filled) == SCHEMA_REVISION


@ON_SQLITE
async def test_an_upgrade_of_a_locked_file_is_unavailable(
    filled: str, with_next: Migrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.05)
    with_next('op.add_column("sales", sa.Column("shelf", sa.String(8)))')

    async with locked(filled):
        with pytest.raises(StoreUnavailableError):
            await prepare(filled)

    assert await revision_in(filled) == SCHEMA_REVISION


@ON_SQLITE
async def test_a_file_that_is_no_database_is_unavailable_and_left_alone(
    store_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Estimados: adjunto el presupuesto. " * 100)
    before = path.read_bytes()

    with pytest.raises(StoreUnavailableError):
        await prepare(f"sqlite:///{path}")

    assert path.read_bytes() == before


@ON_SQLITE
async def test_a_folder_that_can_not_be_made_is_unavailable(store_url: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StoreUnavailableError):
        await prepare(f"sqlite:///{tmp_path / 'file' / 'gateway.db'}")


@ON_POSTGRES
async def test_a_database_that_is_not_there_is_unavailable(
    store_url: str, postgres_server: PostgresServer
) -> None:
    with pytest.raises(StoreUnavailableError):
        await prepare(postgres_server.url("nowhere"))
    with pytest.raises(StoreUnavailableError):
        await open_store(StoreSettings(url=postgres_server.url("nowhere")))


@ON_POSTGRES
async def test_a_server_that_is_not_there_is_unavailable(store_url: str, tmp_path: Path) -> None:
    url = f"postgresql://nobody@/nothing?host={tmp_path}"

    with pytest.raises(StoreUnavailableError):
        await prepare(url)
    with pytest.raises(StoreUnavailableError):
        await open_store(StoreSettings(url=url))


@ON_POSTGRES
async def test_a_url_as_libpq_takes_it_upgrades_as_it_opens(store_url: str) -> None:
    url = f"{store_url}&sslmode=prefer&application_name=caja"

    await prepare(url)
    store = await open_store(StoreSettings(url=url))
    await store.check()
    await store.close()
