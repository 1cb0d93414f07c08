"""Bringing the schema up to date: under a lock, in one transaction, the file copied first."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.pool import NullPool

from bulonera_sync.errors import SchemaError, StoreUnavailableError
from bulonera_sync.store import sqlite
from bulonera_sync.store.drivers import sqlite3
from bulonera_sync.store.revisions import newer_schema
from bulonera_sync.store.schema import SCHEMA_REVISION

_MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade_sqlite(path: Path, *, now: datetime) -> Path | None:
    """Create the file or bring it up to date; return the copy made of a populated one before.

    Raises `StoreUnavailableError`, and `SchemaError` for a newer one or where rows would be lost.
    """
    sqlite.refuse_affected_version()
    path.parent.mkdir(parents=True, exist_ok=True)
    _create_private(path)
    with sqlite.told_apart(), closing(sqlite.connect(path)) as connection:
        before = _sqlite_revision(connection)
        if before == SCHEMA_REVISION:
            return None
        if before is not None and before > SCHEMA_REVISION:
            raise SchemaError(newer_schema(before))
        copy = _copy_of(connection, path, before, now) if before else None
    engine = create_engine(
        "sqlite://", module=sqlite3, creator=lambda: sqlite.connect(path), poolclass=NullPool
    )
    # foreign_keys can't be changed inside a transaction, and ON would delete the children of
    # every table that a migration rebuilds.
    event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA foreign_keys = OFF"))
    event.listen(engine, "begin", lambda opened: opened.exec_driver_sql("BEGIN IMMEDIATE"))
    with told_apart(), engine.begin() as opened:
        run_migrations(opened)
        _refuse_orphans(opened)
    return copy


@contextmanager
def told_apart() -> Iterator[None]:
    """Tell what a person can mend from what we did wrong; no driver's error gets out."""
    try:
        yield
    except ProgrammingError:
        raise
    except (DBAPIError, OSError, TimeoutError) as error:
        reason = getattr(error, "orig", None) or error
        raise StoreUnavailableError(f"the database can't be used now: {reason}") from error


def _create_private(path: Path) -> None:
    """Make a new file readable by its owner alone: sales and customers are in it."""
    if not path.exists():
        path.touch(mode=0o600)


def _sqlite_revision(connection: Any) -> str | None:
    found = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"
    ).fetchone()
    if not found:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else None


def _copy_of(connection: Any, path: Path, revision: str, now: datetime) -> Path:
    copy = path.with_name(f"{path.name}.{revision}-{now:%Y%m%dT%H%M%SZ}.bak")
    _create_private(copy)
    with closing(sqlite3.connect(copy)) as target:
        connection.backup(target)
    return copy


def _refuse_orphans(connection: Connection) -> None:
    orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if orphans:
        raise SchemaError(f"the upgrade would leave {len(orphans)} rows without their parent")


def run_migrations(connection: Connection) -> None:
    """Bring the schema up to date in the connection's transaction; raises `SchemaError`."""
    present = MigrationContext.configure(connection).get_current_revision()
    if present is not None and present > SCHEMA_REVISION:
        raise SchemaError(newer_schema(present))
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
