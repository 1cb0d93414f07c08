"""Opening the configured database, and preparing it: the one place that chooses the engine."""

import asyncio
from datetime import datetime
from pathlib import Path

from bulonera_sync.config import StoreSettings
from bulonera_sync.errors import ConfigError, StoreUnavailableError
from bulonera_sync.store.allowances import Allowances, OwnAllowances, SharedAllowances
from bulonera_sync.store.sessions import Store


async def open_store(settings: StoreSettings) -> Store:
    """Open the database; raises `StoreUnavailableError`, and `SchemaError` for a wrong schema."""
    path = settings.sqlite_path
    if path is None:
        try:
            from bulonera_sync.store.postgres import PostgresStore
        except ImportError as error:
            raise ConfigError(
                "[store] url names a Postgres, and its driver is not installed: pip install "
                "'bulonera-sync[postgres]'"
            ) from error
        return await PostgresStore.open(settings.url)
    from bulonera_sync.store.sqlite import SqliteStore

    return await SqliteStore.open(path)


async def allowances_of(store: Store) -> Allowances:
    """Return the allowances as the engine keeps them."""
    touching = store.touching
    return SharedAllowances(touching) if touching else await OwnAllowances.load(store)


async def prepare_store(settings: StoreSettings, *, now: datetime) -> Path | None:
    """Bring the schema up to date; return the copy that was made of a populated SQLite file.

    Raises `StoreUnavailableError`.
    """
    path = settings.sqlite_path
    if path is None:
        from bulonera_sync.store.postgres_upgrades import upgrade_postgres

        await upgrade_postgres(settings.url)
        return None
    from bulonera_sync.store.upgrades import upgrade_sqlite

    try:
        return await asyncio.to_thread(upgrade_sqlite, path, now=now)
    except OSError as error:
        raise StoreUnavailableError(f"{path}: can't be made: {error.strerror}") from error
