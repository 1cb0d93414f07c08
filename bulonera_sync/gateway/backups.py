"""Backing the database up and putting a backup in its place: the door for the command line."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bulonera_sync.config import StoreSettings
from bulonera_sync.gateway.openings import open_store
from bulonera_sync.store.audits import Finding, audit
from bulonera_sync.store.backups import (
    Contents,
    Prospect,
    Restored,
    Spare,
    back_up_sqlite,
    restore_sqlite,
    survey_sqlite,
)

__all__ = ["Backup", "Contents", "Prospect", "back_up", "restore", "survey_restore"]


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made, read over and given its name."""

    contents: Contents
    size_bytes: int


async def back_up(settings: StoreSettings, file: Path) -> Backup:
    """Write a verified backup while others write; raises `RefusedError`, the old file untouched."""
    # Whether it can be reached and has our schema is told as everywhere.
    await (await open_store(settings)).close()
    path = settings.sqlite_path
    if path is not None:
        return Backup(*await asyncio.to_thread(back_up_sqlite, path, file))
    from bulonera_sync.store.dumps import back_up_postgres  # noqa: PLC0415 - see openings

    return Backup(*await asyncio.to_thread(back_up_postgres, settings.url, file))


async def survey_restore(settings: StoreSettings, file: Path) -> Prospect:
    """Say what a restore would put in place of what; changes nothing."""
    path = settings.sqlite_path
    if path is not None:
        return await asyncio.to_thread(survey_sqlite, path, file)
    from bulonera_sync.store.dumps import survey_postgres  # noqa: PLC0415 - see openings

    return await survey_postgres(settings.url, file)


async def restore(
    settings: StoreSettings, file: Path, *, now: datetime, spare: int = 0
) -> tuple[Restored, list[Finding]]:
    """Put a backup in the database's place; return what is there now and what is wrong with it.

    No number or id that the backup or the database issued is issued again, nor any of the `spare`
    ones after the backup's last. Nobody may write meanwhile: the caller holds the daemon's lock.
    """
    path = settings.sqlite_path
    unused = Spare(spare, now)
    if path is not None:
        restored = await asyncio.to_thread(restore_sqlite, path, file, unused)
    else:
        from bulonera_sync.store.dumps import restore_postgres  # noqa: PLC0415 - see openings

        restored = await restore_postgres(settings.url, file, unused)
    store = await open_store(settings)
    try:
        return restored, await store.read(audit)
    finally:
        await store.close()
