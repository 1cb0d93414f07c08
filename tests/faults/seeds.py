"""Defects that the tests plant into a daemon, to see that they are caught.

No configuration can switch one on: a daemon has one only when `zygote` was told to plant it.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bulonera_sync.changes import NewId
from bulonera_sync.checks import Known
from bulonera_sync.errors import NotFoundError, StatementRefusedError, StoreUnavailableError
from bulonera_sync.gateway import Gateway, edits, uploads
from bulonera_sync.outcomes import Failure, Outcome
from bulonera_sync.sales import Problem, Sale, User
from bulonera_sync.server import runner
from bulonera_sync.store import copies, sale_rows, sales, sqlite, writers
from bulonera_sync.store.drivers import sqlite3
from bulonera_sync.store.sessions import Session


def plant(name: str) -> None:
    """Plant the defect of this name into the process."""
    SEEDS[name]()


def _replace(owner: Any, name: str, defect: Any) -> None:
    assert hasattr(owner, name), f"{name} is not there any more: plant it elsewhere"
    setattr(owner, name, defect)


def _on_connection(kind: type[Any]) -> None:
    """Have every SQLite connection made of this class."""
    connect = sqlite3.connect

    def connect_so(*arguments: Any, **options: Any) -> Any:
        return connect(*arguments, factory=kind, **options)

    _replace(sqlite3, "connect", connect_so)


class AnswersEarly(sqlite3.Connection):  # type: ignore[misc]
    """Its COMMIT is made when the next transaction begins."""

    def execute(self, sql: str, *values: Any) -> Any:
        if sql == "COMMIT":
            return super().execute("SELECT 1")
        if sql.startswith("BEGIN") and self.in_transaction:
            super().execute("COMMIT")
        return super().execute(sql, *values)


class SwallowsCommit(sqlite3.Connection):  # type: ignore[misc]
    """A COMMIT that fails is taken for one that did not."""

    def execute(self, sql: str, *values: Any) -> Any:
        try:
            return super().execute(sql, *values)
        except sqlite3.Error:
            if sql != "COMMIT":
                raise
            return super().execute("ROLLBACK" if self.in_transaction else "SELECT 1")


class DefersBegin(sqlite3.Connection):  # type: ignore[misc]
    """Its writers begin as readers."""

    def execute(self, sql: str, *values: Any) -> Any:
        return super().execute(sql.replace("BEGIN IMMEDIATE", "BEGIN DEFERRED"), *values)


def _synchronous_normal() -> None:
    _replace(sqlite, "PRAGMAS", tuple(each.replace("FULL", "NORMAL") for each in sqlite.PRAGMAS))


def _commit_error_per_sale() -> None:
    upload = Gateway.upload

    async def blaming(
        self: Gateway,
        user: User,
        raw_sales: Sequence[object],
        texts: Sequence[str] | None = None,
    ) -> list[Outcome]:
        try:
            return await upload(self, user, raw_sales, texts)
        except (StatementRefusedError, StoreUnavailableError) as error:
            failure = Failure((Problem("", "not_stored", str(error)),), is_retryable=True)
            return [
                Outcome(index, str(raw["local_id"]), failure)  # type: ignore[index]
                for index, raw in enumerate(raw_sales)
            ]

    _replace(Gateway, "upload", blaming)


def _unique_per_user() -> None:
    known = uploads._known

    def of_this_user_alone(*facts: Any) -> Known:
        told = known(*facts)
        is_foreign = told.sale is not None and told.sale.user_id != told.user_id
        return replace(told, sale=None, copies=(), base=None) if is_foreign else told

    _replace(uploads, "_known", of_this_user_alone)


def _number_outside() -> None:
    file = Path(os.environ["BULONERA_STORE__URL"].removeprefix("sqlite:///") + ".numbers")

    def take(count: int) -> int:
        last = int(file.read_text()) if file.exists() else 0
        file.write_text(str(last + count))
        return last

    async def take_ids(session: Session, count: int, *, prefix: str, year: int) -> list[NewId]:
        last = take(count)
        taken = await inside(session, count, prefix=prefix, year=year)
        return [
            NewId(new.id, f"{prefix}-{year:04d}-{last + place:05d}")
            for place, new in enumerate(taken, start=1)
        ]

    inside = sales.take_ids
    _replace(sales, "take_ids", take_ids)


def _payload_dropped() -> None:
    record_of = sale_rows.record_of

    place = sale_rows.NAMES.index("payload")

    def without_payload(sale: Sale) -> sale_rows.Record:
        record = record_of(sale)
        return (*record[:place], "{}" if sale.payload else None, *record[place + 1 :])

    _replace(sales, "record_of", without_payload)


def _present_row_only() -> None:
    async def no_copies(session: Session, prints: Mapping[int, object]) -> dict[int, Any]:
        return {}

    _replace(copies, "copies_of", no_copies)


def _cancelled_with_its_client() -> None:
    """The handler ends with the connection, and what it waits for with it."""
    setup = runner.Runner.__init__

    def cancelling(self: Any, *arguments: Any, **options: Any) -> None:
        setup(self, *arguments, **{**options, "handler_cancellation": True})

    async def not_shielded(waited: Any) -> Any:
        return await waited

    _replace(runner.Runner, "__init__", cancelling)
    _replace(writers, "asyncio", _AsyncioUnshielded())


class _AsyncioUnshielded:
    """The module asyncio with a `shield` that shields nothing."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    @staticmethod
    def shield(waited: Any) -> Any:
        return waited


def _no_owner_check() -> None:
    async def find_anybodys(session: Session, user: User, key: int | str) -> Sale:
        sale = await sales.find_one(session, key)
        if sale is None:
            raise NotFoundError(f"Sale {key} not found or permission denied")
        return sale

    _replace(edits, "find_mine", find_anybodys)


def _nothing() -> None:
    """For a defect that is planted into the database itself: the test does it."""


SEEDS: dict[str, Callable[[], None]] = {
    "answer before commit": lambda: _on_connection(AnswersEarly),
    "no unique index on local_id": _nothing,
    "synchronous NORMAL": _synchronous_normal,
    "swallowed COMMIT error": lambda: _on_connection(SwallowsCommit),
    "COMMIT error told per sale": _commit_error_per_sale,
    "deferred BEGIN": lambda: _on_connection(DefersBegin),
    "unique per user": _unique_per_user,
    "number outside the transaction": _number_outside,
    "refused payload not kept": _payload_dropped,
    "replay compared with the present row only": _present_row_only,
    "write not shielded from cancellation": _cancelled_with_its_client,
    "no owner check in resolve": _no_owner_check,
}
