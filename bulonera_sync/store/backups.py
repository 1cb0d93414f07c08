"""Backups: what one holds, what a restored database goes on counting from, and SQLite's own.

Those of Postgres are `dumps`. A file that may be in use is read through SQLite alone, and what
others see under a name is whole at any instant, whenever this process is killed.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import bindparam, func, select

from bulonera_sync.errors import RefusedError, SchemaError, StoreUnavailableError
from bulonera_sync.store import schema, sqlite
from bulonera_sync.store.audits import COUNTERS, Finding, audit, count_rows
from bulonera_sync.store.drivers import sqlite3
from bulonera_sync.store.revisions import revision_of
from bulonera_sync.store.schema import SCHEMA_REVISION
from bulonera_sync.store.sessions import Session
from bulonera_sync.store.statements import Statement
from bulonera_sync.store.statistics import SKIPPED
from bulonera_sync.store.types import BigId

SQLITE_MAGIC = b"SQLite format 3\0"
DUMP_MAGIC = b"PGDMP"

_NUMBER = "number "
# What SQLite puts beside a file.
_BESIDE = ("-wal", "-shm", "-journal")

_ISSUED_AFTER = Statement(
    select(func.count()).where(schema.sales.c.id > bindparam("last", type_=BigId))
)
LATEST = Statement(select(func.max(schema.sales.c.updated_at)))


@dataclass(frozen=True, slots=True)
class Contents:
    """What a database or a backup holds.

    `counts` are rows by table, `latest` is when a sale last changed, `sequences` the last id of
    each table that numbers its rows itself.
    """

    revision: str
    counts: Mapping[str, int]
    latest: datetime | None
    counters: Mapping[str, int]
    sequences: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Prospect:
    """What a restore would put in place of what; `problem` is why the present can't be read.

    `later` are the present's sales whose ids the backup had not come to.
    """

    backup: Contents
    present: Contents | None
    problem: str | None = None
    later: int = 0


@dataclass(frozen=True, slots=True)
class Restored:
    """What is there after a restore, and where the database of before is kept."""

    contents: Contents
    kept: Path | None


@dataclass(frozen=True, slots=True)
class Spare:
    """How many numbers and ids after a backup's last stay unused, because nobody knows them."""

    count: int
    now: datetime

    def of(self, counters: Mapping[str, int]) -> dict[str, int]:
        """Return the counters as if the spare ones had been issued."""
        if not self.count:
            return {}
        names = {"sale id", *(f"{_NUMBER}{year}" for year in self._years(counters))}
        return {name: counters.get(name, 0) + self.count for name in names}

    def _years(self, counters: Mapping[str, int]) -> range:
        # A day more: the shop's year may have begun before UTC's.
        last = (self.now + timedelta(days=1)).year
        known = [int(name.removeprefix(_NUMBER)) for name in counters if name.startswith(_NUMBER)]
        return range(max(known, default=self.now.year), last + 1)


def go_on(backup: Mapping[str, int], *issued: Mapping[str, int]) -> dict[str, int]:
    """Return the counters of a restored database: none stands below what was ever issued.

    What is issued and not in the backup is counted as skipped, so that what was given out less
    what was skipped is what is there.
    """
    going = dict(backup)
    for name in {name for each in issued for name in each if not name.startswith(SKIPPED)}:
        last = max(each.get(name, 0) for each in issued)
        missed = last - backup.get(name, 0)
        if missed > 0:
            going[name] = last
            going[SKIPPED + name] = backup.get(SKIPPED + name, 0) + missed
    return going


async def contents_of(session: Session) -> Contents | None:
    """Return what the database holds but for its sequences; None when it was never prepared."""
    revision = await revision_of(session)
    if revision is None:
        return None
    [(latest,)] = await session.fetch(LATEST)
    counters: dict[str, int] = dict(await session.fetch(COUNTERS))
    return Contents(revision, await count_rows(session), latest, counters, {})


async def sales_after(session: Session, backup: Contents) -> int:
    """Return how many sales the database has that were taken after the backup."""
    count: int
    [(count,)] = await session.fetch(_ISSUED_AFTER, last=backup.counters.get("sale id", 0))
    return count


# Files


@contextmanager
def private_beside(file: Path) -> Iterator[Path]:
    """Make an empty file of the owner's alone beside another; what is left of it is removed."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f"{file.name}.", suffix=".part", dir=file.parent)
    except OSError as error:
        raise RefusedError(f"{file.parent} can't be written: {error.strerror}") from error
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        for end in ("", *_BESIDE):
            Path(name + end).unlink(missing_ok=True)


def publish(part: Path, file: Path) -> None:
    """Give a finished file its name; whoever opens that finds the old one or this one, whole."""
    try:
        _sync(part)
        part.replace(file)
        _sync(file.parent)
    except OSError as error:
        raise RefusedError(f"{file} can't be written: {error.strerror}") from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def backup_file(file: Path, *, of: Path | None = None) -> Path:
    """Return the file that a backup is to be written to, whatever link leads there.

    Raises `RefusedError` for what must not be replaced: the database itself, or what is no backup.
    """
    file = file.resolve()
    if not file.parent.is_dir():
        raise RefusedError(f"there is no folder {file.parent}; make or mount it first")
    if of is not None and file in _files_of(of.resolve()):
        raise RefusedError(f"{file} is the database itself; name another file")
    if file.exists() and not (file.is_file() and _begins(file, SQLITE_MAGIC, DUMP_MAGIC)):
        raise RefusedError(f"{file} is there and is no backup; name another file")
    return file


def _files_of(database: Path) -> set[Path]:
    return {database.with_name(database.name + end) for end in ("", ".lock", *_BESIDE)}


def refuse_other_file(file: Path, magic: bytes, kind: str) -> None:
    """Raise `RefusedError` unless the file begins as a backup of this kind does."""
    if not _begins(file, magic):
        raise RefusedError(f"{file} is no backup of {kind}")


def _begins(file: Path, *magics: bytes) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(16).startswith(magics)
    except OSError as error:
        raise RefusedError(f"{file} can't be read: {error.strerror}") from error


def refuse_revision(contents: Contents | None, file: Path) -> Contents:
    """Return what the backup holds; raises for one of a newer program, or of no program of ours."""
    if contents is None:
        raise RefusedError(f"{file} holds no database of bulonera-sync")
    if contents.revision > SCHEMA_REVISION:
        raise SchemaError(
            f"{file} has schema {contents.revision}, newer than this program's {SCHEMA_REVISION}; "
            f"install the newer bulonera-sync"
        )
    return contents


def name_for_kept(database: Path, now: datetime, ending: str = "") -> Path:
    """Return a free name beside the database for what it was before a restore."""
    name = f"{database.name}.before-restore-{now:%Y%m%dT%H%M%SZ}"
    kept, turn = database.with_name(name + ending), 1
    while kept.exists():
        turn += 1
        kept = database.with_name(f"{name}-{turn}{ending}")
    return kept


# SQLite


def back_up_sqlite(path: Path, file: Path) -> tuple[Contents, int]:
    """Copy the file, in use or not, and verify the copy; return what it holds and its size.

    Raises `RefusedError`: what stood under the name stands there still.
    """
    sqlite.refuse_affected_version()
    file = backup_file(file, of=path)
    with private_beside(file) as part:
        with _or_refused("no backup was made"):
            _copy_file(path, part)
            contents = _sound(part, file)
        _refuse_findings(part, f"the copy of {path}")
        size = part.stat().st_size
        publish(part, file)
    return contents, size


def survey_sqlite(path: Path, file: Path) -> Prospect:
    """Say what the backup and the database hold; raises `RefusedError` for a damaged backup."""
    sqlite.refuse_affected_version()
    with _backup_opened(file, path) as connection:
        backup = _sound_in(connection, file)
    try:
        present = _present_in(path.resolve())
        later = _later_in(path.resolve(), backup) if present else 0
        return Prospect(backup, present, later=later)
    except _UnreadableError as error:
        return Prospect(backup, None, str(error))


def restore_sqlite(path: Path, file: Path, spare: Spare) -> Restored:
    """Put the backup in the database's place; nobody else may be writing to it.

    The database is copied first. An unreadable one is replaced as a file, any other in one
    transaction of SQLite's own: whoever still has it open sees it before or after.
    """
    sqlite.refuse_affected_version()
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    with private_beside(path) as candidate, _or_refused("nothing was restored"):
        with _backup_opened(file, path) as connection:
            revision = _sound_in(connection, file).revision
            _copy(connection, candidate)
        if revision < SCHEMA_REVISION:
            _bring_up_to_date(candidate, spare.now)
        _refuse_findings(candidate, str(file))
        try:
            present = _present_in(path)
        except _UnreadableError:
            _count_on(candidate, None, spare)
            kept = _replace_file(candidate, path, spare.now)
        else:
            _count_on(candidate, present, spare)
            kept = _overwrite(candidate, path, spare.now)
    contents = _present_in(path)
    assert contents is not None
    return Restored(contents, kept)


class _UnreadableError(Exception):
    """The present database is none, or damaged; the text says what SQLite said."""


@contextmanager
def _or_refused(beginning: str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise RefusedError(f"{beginning}: {error}") from error


def _copy_file(path: Path, target: Path) -> None:
    with closing(sqlite.connect(path)) as source:
        _copy(source, target)


def _copy(source: sqlite3.Connection, target: Path) -> None:
    """Copy all pages of one moment; writers go on meanwhile."""
    with closing(sqlite3.connect(target)) as opened:
        source.backup(opened)
        # A single file, which can be read from a medium that can't be written.
        opened.execute("PRAGMA journal_mode = DELETE")


@contextmanager
def _backup_opened(file: Path, path: Path) -> Iterator[sqlite3.Connection]:
    refuse_other_file(file, SQLITE_MAGIC, "an SQLite database, as [store] url names one")
    file = file.resolve()
    if file in _files_of(path.resolve()):
        raise RefusedError(f"{file} is the database itself; name a backup")
    # With a log beside it, it may be in use or have ended badly: what is in the log counts too.
    has_log = file.with_name(f"{file.name}-wal").exists()
    uri = f"{file.as_uri()}?{'mode=ro' if has_log else 'immutable=1'}"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
        yield connection


def _sound(path: Path, file: Path) -> Contents:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return _sound_in(connection, file)


def _sound_in(connection: sqlite3.Connection, file: Path) -> Contents:
    """Return what a backup holds; raises `RefusedError` when SQLite finds it damaged."""
    try:
        damage = [row[0] for row in connection.execute("PRAGMA integrity_check(10)").fetchall()]
        orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
        contents = _contents_in(connection)
    except (sqlite3.Error, StoreUnavailableError) as error:
        raise RefusedError(f"{file} is damaged: {error}") from error
    if damage != ["ok"]:
        raise RefusedError(f"{file} is damaged: {damage[0]}")
    if orphans:
        raise RefusedError(f"{file} is damaged: {len(orphans)} rows refer to others not there")
    return refuse_revision(contents, file)


def _contents_in(connection: sqlite3.Connection) -> Contents | None:
    contents = sqlite.transact(connection, "BEGIN", contents_of)
    if contents is None:
        return None
    rows = connection.execute("SELECT name, seq FROM sqlite_sequence").fetchall()
    return Contents(
        contents.revision, contents.counts, contents.latest, contents.counters, dict(rows)
    )


def _refuse_findings(path: Path, name: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        findings = sqlite.transact(connection, "BEGIN", audit)
    if findings:
        raise RefusedError(f"{name} is damaged in {_told(findings)}")


def _told(findings: list[Finding]) -> str:
    first = findings[0]
    return f"{len(findings)} places, the first: {first.place} {first.text}"


def _present_in(path: Path) -> Contents | None:
    """Return what the database holds, None when there is none; raises `_UnreadableError`."""
    if not path.exists():
        return None
    try:
        with sqlite.told_apart(), closing(sqlite.connect(path)) as connection:
            return _contents_in(connection)
    except StoreUnavailableError as error:
        # Exactly this class is damage; one that is locked or read-only has a class of its own.
        if type(error.__cause__) is not sqlite3.DatabaseError:
            raise
        raise _UnreadableError(str(error.__cause__)) from error


def _later_in(path: Path, backup: Contents) -> int:
    with sqlite.told_apart(), closing(sqlite.connect(path)) as connection:
        return sqlite.transact(connection, "BEGIN", lambda session: sales_after(session, backup))


def _bring_up_to_date(candidate: Path, now: datetime) -> None:
    from bulonera_sync.store.upgrades import upgrade_sqlite  # noqa: PLC0415 - slow to import

    copy = upgrade_sqlite(candidate, now=now)
    if copy is not None:
        copy.unlink()


def _count_on(candidate: Path, present: Contents | None, spare: Spare) -> None:
    """Let the candidate issue nothing that the present database, or a spare, has issued."""
    with closing(sqlite3.connect(candidate, isolation_level=None)) as connection:
        backup = _contents_in(connection)
        assert backup is not None
        issued = present.counters if present else {}
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "INSERT OR REPLACE INTO counters (name, value) VALUES (?, ?)",
            sorted(go_on(backup.counters, issued, spare.of(backup.counters)).items()),
        )
        for table, last in (present.sequences if present else {}).items():
            _raise_sequence(connection, table, max(last, backup.sequences.get(table, 0)))
        connection.execute("COMMIT")


def _raise_sequence(connection: sqlite3.Connection, table: str, last: int) -> None:
    # SQLite's own table has no key to name in an upsert.
    connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
    connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, last))


def _overwrite(candidate: Path, path: Path, now: datetime) -> Path | None:
    if not path.exists():
        return _replace_file(candidate, path, now)
    kept = name_for_kept(path, now)
    with private_beside(kept) as part:
        _copy_file(path, part)
        publish(part, kept)
    # All pages in one step are one transaction of the target: its log and locks stay its own, and
    # no log of the old content can ever be applied to the new one.
    with closing(sqlite3.connect(candidate)) as source, closing(sqlite.connect(path)) as target:
        source.backup(target)
    return kept


def _replace_file(candidate: Path, path: Path, now: datetime) -> Path | None:
    """Put a new file where there is none, or one that nobody can open."""
    kept = name_for_kept(path, now) if path.exists() else None
    for end in ("", *_BESIDE):
        beside = path.with_name(path.name + end)
        if kept is not None and beside.exists():
            with private_beside(kept) as part:
                shutil.copyfile(beside, part)
                publish(part, kept.with_name(kept.name + end))
    # Before the new file has the name: it must not find another's log there.
    for end in _BESIDE:
        path.with_name(path.name + end).unlink(missing_ok=True)
    _sync(path.parent)
    publish(candidate, path)
    return kept
