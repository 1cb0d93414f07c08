"""The databases of the store tests from outside: SQL past the store, locks held against it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from typing import Any

import asyncpg
import pytest
from sqlalchemy import bindparam, column, insert, select, table

from bulonera_sync.config import StoreSettings
from bulonera_sync.gateway.openings import open_store
from bulonera_sync.store.drivers import sqlite3
from bulonera_sync.store.postgres import WRITER_LOCK
from bulonera_sync.store.sessions import Session, Store, Work
from bulonera_sync.store.statements import Statement
from bulonera_sync.store.types import BigId

# For what only one of the engines has.
ON_SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
ON_POSTGRES = pytest.mark.parametrize("store_url", ["postgres"], indirect=True)

Rows = list[tuple[Any, ...]]

# A table of the tests' own, made by `make_notes`: its parent is checked at COMMIT alone.
_notes = table("notes", column("id", BigId), column("parent", BigId))
INSERT_NOTE = Statement(insert(_notes).values(id=bindparam("id"), parent=bindparam("parent")))
ALL_NOTES = Statement(select(_notes.c.id).order_by(_notes.c.id))
MAKE_NOTES = (
    "CREATE TABLE notes (id BIGINT PRIMARY KEY, "
    "parent BIGINT REFERENCES notes (id) DEFERRABLE INITIALLY DEFERRED)"
)


def is_sqlite(url: str) -> bool:
    return url.startswith("sqlite")


async def run_sql(url: str, *statements: str) -> Rows:
    """Run statements on a connection of their own; return the last one's rows."""
    rows: Sequence[Any] = []
    if is_sqlite(url):
        path = url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for statement in statements:
                rows = connection.execute(statement).fetchall()
        return [tuple(row) for row in rows]
    opened = await asyncpg.connect(url)
    try:
        for statement in statements:
            rows = await opened.fetch(statement)
    finally:
        await opened.close()
    return [tuple(row) for row in rows]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    """The store on this database, closed at the end."""
    store = await open_store(StoreSettings(url=url))
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def locked(url: str) -> AsyncIterator[None]:
    """Hold the writers' turn, as another program on the database does."""
    if is_sqlite(url):
        path = url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")
        return
    other = await asyncpg.connect(url)
    try:
        async with other.transaction():
            await other.execute(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")
            yield
    finally:
        await other.close()


async def add_note(session: Session, note: int, parent: int | None = None) -> None:
    await session.execute(INSERT_NOTE, id=note, parent=parent)


def adding(*notes: int) -> Work[None]:
    """A unit of work that adds these notes."""

    async def add(session: Session) -> None:
        for note in notes:
            await add_note(session, note)

    return add


async def notes_in(store: Store) -> list[int]:
    async def fetch(session: Session) -> list[int]:
        return [note for (note,) in await session.fetch(ALL_NOTES)]

    return await store.read(fetch)
