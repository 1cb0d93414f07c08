"""Backups of a Postgres, by its own programs: pg_dump, pg_restore and psql, found on PATH.

They are told the url without its password, which they get by the environment: whoever lists the
processes sees no secret.
"""

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from bulonera_sync.errors import RefusedError, SchemaError
from bulonera_sync.store import postgres
from bulonera_sync.store.audits import COUNTED
from bulonera_sync.store.backups import (
    DUMP_MAGIC,
    Contents,
    Prospect,
    Restored,
    Spare,
    backup_file,
    contents_of,
    go_on,
    name_for_kept,
    private_beside,
    publish,
    refuse_other_file,
    refuse_revision,
    sales_after,
)
from bulonera_sync.store.postgres_errors import told_apart
from bulonera_sync.store.revisions import newer_schema
from bulonera_sync.store.schema import SCHEMA_REVISION, metadata

_TABLES = (*sorted(metadata.tables), "alembic_version")
_COPY = re.compile(r"COPY (?:\S+\.)?(\w+) \((.*)\) FROM stdin;")

# A daemon that was just stopped is still seen for a moment.
GONE_TRIES = 20
GONE_PAUSE_SECONDS = 0.1

_OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'bulonera-sync' AND datname = current_database()
AND pid <> pg_backend_pid()
"""
_SEQUENCES = """
SELECT sequencename, last_value FROM pg_sequences
WHERE schemaname = current_schema() AND last_value IS NOT NULL
"""


def back_up_postgres(url: str, file: Path) -> tuple[Contents, int]:
    """Dump our tables of one moment and read the dump over; return what it holds and its size.

    Raises `RefusedError`: what stood under the name stands there still.
    """
    file = backup_file(file)
    with private_beside(file) as part:
        _dump(url, part)
        contents = contents_of_dump(part)
        size = part.stat().st_size
        publish(part, file)
    return contents, size


async def survey_postgres(url: str, file: Path) -> Prospect:
    """Say what the backup and the database hold; raises `RefusedError` while a daemon has it."""
    backup = contents_of_dump(file)
    connection = await postgres.open_patiently(url)
    try:
        await _refuse_others(connection)
        present = await _present_in(connection)
        session = postgres.PostgresSession(connection)
        later = await sales_after(session, backup) if present else 0
        return Prospect(backup, present, later=later)
    finally:
        await connection.close()


async def restore_postgres(url: str, file: Path, spare: Spare) -> Restored:
    """Put the backup in the database's place in one transaction; the former is dumped first.

    The dump of the former stands beside the backup. Writers wait until the end, or give up.
    """
    from bulonera_sync.store.postgres_upgrades import upgrade_postgres  # noqa: PLC0415 - slow to import

    backup = contents_of_dump(file)
    connection = await postgres.open_patiently(url)
    try:
        with told_apart():
            await connection.execute("SELECT pg_advisory_lock($1)", postgres.WRITER_LOCK)
        await _refuse_others(connection)
        present = await _present_in(connection)
        kept = _keep(url, file, spare.now) if present else None
        script = (_beginning(present), _ending(backup, present, spare))
        await asyncio.to_thread(_replay, url, file, *script)
    finally:
        await connection.close()
    await upgrade_postgres(url)
    return Restored(backup, kept)


def contents_of_dump(file: Path) -> Contents:
    """Read a dump whole; raises `RefusedError` when it is damaged, or none of ours."""
    refuse_other_file(file, DUMP_MAGIC, "a Postgres, as [store] url names one")
    counts: Counter[str] = Counter()
    counters: dict[str, int] = {}
    revision = latest = None
    with _sql_of(file) as lines:
        for table, row in _rows(lines):
            counts[table] += 1
            match table:
                case "alembic_version":
                    revision = row["version_num"]
                case "counters":
                    counters[row["name"]] = int(row["value"])
                case "sales":
                    changed = datetime.fromisoformat(row["updated_at"])
                    latest = changed if latest is None else max(latest, changed)
                case _:
                    pass
    if revision is None:
        raise RefusedError(f"{file} holds no database of bulonera-sync")
    told = {name: counts[name] for name in COUNTED}
    return refuse_revision(Contents(revision, told, latest, counters, {}), file)


def _rows(lines: Iterable[bytes]) -> Iterator[tuple[str, dict[str, str]]]:
    """Return table and columns of every row that an SQL script brings by COPY."""
    reading = iter(lines)
    for line in reading:
        found = _COPY.fullmatch(line.decode().rstrip("\n"))
        if found is None:
            continue
        names = found[2].split(", ")
        for row in reading:
            if row == b"\\.\n":
                break
            yield found[1], dict(zip(names, row.decode().rstrip("\n").split("\t"), strict=True))


def _dump(url: str, part: Path) -> None:
    tables = (f"--table={table}" for table in _TABLES)
    options = ("--format=custom", "--no-owner", "--no-privileges", "--lock-wait-timeout=15s")
    with tempfile.TemporaryFile() as said:
        command = [_program("pg_dump"), *options, *tables, f"--file={part}", _address(url)]
        done = subprocess.run(  # noqa: S603 - a program of Postgres', nothing of a user's
            command, check=False, stdin=subprocess.DEVNULL, stderr=said, env=_environment(url)
        )
        if done.returncode:
            raise RefusedError(f"no backup was made: {_reason(said, 'pg_dump')}")


@contextmanager
def _sql_of(file: Path) -> Iterator[IO[bytes]]:
    """Read a dump as a script; raises `RefusedError` at its end unless all of it was sound."""
    command = [_program("pg_restore"), "--no-owner", "--no-privileges", "--file=-", str(file)]
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(  # noqa: S603 - as above
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said
        ) as reading,
    ):
        assert reading.stdout is not None
        yield reading.stdout
        if reading.wait():
            raise RefusedError(f"{file} can't be read whole: {_reason(said, 'pg_restore')}")


def _replay(url: str, file: Path, beginning: str, ending: str) -> None:
    command = [_program("psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", _address(url)]
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(  # noqa: S603 - as above
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env=_environment(url),
        ) as replaying,
    ):
        assert replaying.stdin is not None
        try:
            _feed(replaying.stdin, file, beginning, ending)
        except BrokenPipeError:
            # It says why itself.
            replaying.stdin = None
        if replaying.wait():
            raise RefusedError(f"nothing was restored: {_reason(said, 'psql')}")


def _feed(script: IO[bytes], file: Path, beginning: str, ending: str) -> None:
    # No --single-transaction: that would commit whatever came, when we are killed half-way.
    with closing(script):
        script.write(beginning.encode())
        with _sql_of(file) as lines:
            shutil.copyfileobj(lines, script)
        script.write(ending.encode())


def _beginning(present: Contents | None) -> str:
    """Return the start of the script: what was there is removed, unless it has issued more."""
    issued = sum(present.counters.values()) if present else 0
    # We may be dead by now, with all of the script on its way, and a daemon may be at work.
    has_more = f"(SELECT coalesce(sum(value), 0) FROM counters) <> {issued}"  # noqa: S608
    unchanged = f"""
LOCK TABLE counters IN ACCESS EXCLUSIVE MODE;
DO $$ BEGIN IF {has_more} THEN
RAISE EXCEPTION 'sales were taken meanwhile; stop the daemon and restore again';
END IF; END $$;
"""
    # All tables of ours, and without CASCADE: what somebody hung on them is a reason to stop.
    return f"""
BEGIN;
SET LOCAL lock_timeout = '15s';
SET LOCAL synchronous_commit = on;
{unchanged if present else ""}
DROP TABLE IF EXISTS {", ".join(_TABLES)};
"""


def _ending(backup: Contents, present: Contents | None, spare: Spare) -> str:
    """Return the end of the script: nothing is issued again, then COMMIT."""
    issued = present.counters if present else {}
    counters = go_on(backup.counters, issued, spare.of(backup.counters))
    values = ", ".join(f"({_quoted(name)}, {value})" for name, value in sorted(counters.items()))
    raised = f"INSERT INTO counters (name, value) VALUES {values};" if values else ""  # noqa: S608
    sequences = sorted((present.sequences if present else {}).items())
    lines = [
        # The dump leaves none set.
        "RESET search_path;",
        "DELETE FROM counters;",
        raised,
        *(_raise_sequence(name, last) for name, last in sequences),
        "COMMIT;",
    ]
    return "\n".join(lines) + "\n"


def _raise_sequence(name: str, last: int) -> str:
    # nextval may leave an id out; max(id) may be below one that is gone.
    last_or_next = f"greatest({last}, nextval(oid::regclass))"
    found = f"FROM pg_class WHERE oid = to_regclass({_quoted(name)})"
    return f"SELECT setval(oid::regclass, {last_or_next}) {found};"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _keep(url: str, file: Path, now: datetime) -> Path:
    name = unquote(urlsplit(url).path.strip("/"))
    kept = name_for_kept(file.resolve().with_name(name.replace("/", "_")), now, ".dump")
    back_up_postgres(url, kept)
    return kept


async def _refuse_others(connection: Any) -> None:
    others = await _others(connection)
    for _ in range(GONE_TRIES):
        if not others:
            return
        await asyncio.sleep(GONE_PAUSE_SECONDS)
        others = await _others(connection)
    raise RefusedError(
        f"a daemon, or another command, has {others} connections to the database; stop it first"
    )


async def _others(connection: Any) -> int:
    with told_apart():
        return int(await connection.fetchval(_OTHERS))


async def _present_in(connection: Any) -> Contents | None:
    contents = await contents_of(postgres.PostgresSession(connection))
    if contents is None:
        return None
    if contents.revision > SCHEMA_REVISION:
        # It may have tables that we would not know to remove.
        raise SchemaError(newer_schema(contents.revision))
    with told_apart():
        rows = await connection.fetch(_SEQUENCES)
    return Contents(
        contents.revision, contents.counts, contents.latest, contents.counters, dict(rows)
    )


# The programs


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise RefusedError(
            f"{name} is not on PATH; install Postgres' client programs of the server's version or "
            f"newer (on Debian and Ubuntu: apt install postgresql-client)"
        )
    return found


def _address(url: str) -> str:
    return f"--dbname={_without_password(url)[0]}"


def _environment(url: str) -> Mapping[str, str]:
    _, password = _without_password(url)
    secret = {} if password is None else {"PGPASSWORD": password}
    # Not the daemon's name: these are ours. UTC, so that times can be read back.
    ours = {"PGAPPNAME": "bulonera-sync db", "PGTZ": "UTC", "PGCLIENTENCODING": "UTF8"}
    return {**os.environ, **ours, **secret}


def _without_password(url: str) -> tuple[str, str | None]:
    """Return the url without its password, and the password."""
    parts = urlsplit(url)
    account, at, server = parts.netloc.rpartition("@")
    user, _, password = account.partition(":")
    words = parse_qsl(parts.query, keep_blank_values=True)
    secrets = {key: value for key, value in words if "password" in key.lower()}
    if set(secrets) - {"password"}:
        raise RefusedError(
            "[store] url has a password that Postgres' programs would take on their command line "
            "alone, where everybody sees it; use a key without one"
        )
    query = urlencode([each for each in words if each[0] not in secrets], safe="/")
    shown = f"postgresql://{user}{at}{server}{parts.path}{'?' if query else ''}{query}"
    return shown, secrets.get("password", unquote(password) or None)


def _reason(said: IO[bytes], program: str) -> str:
    """Return what a program said, on one line."""
    said.seek(0)
    return " ".join(said.read(4000).decode(errors="replace").split()) or f"{program} failed"
