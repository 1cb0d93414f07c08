"""The tests' own Postgres: it starts, keeps its data, and is gone afterwards."""

import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from tests.needs import give_up
from tests.postgres import (
    BINARIES_VARIABLE,
    PostgresServer,
    find_binaries,
    postgres_or_reason,
)

GONE_SECONDS = 20


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    found = postgres_or_reason()
    if isinstance(found, str):
        give_up(found, required_by="BULONERA_REQUIRE_POSTGRES")
    with closing(found):
        yield found


async def query(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def home(url: str) -> Path:
    return Path(url.partition("host=")[2])


def is_gone(pidfd: int) -> bool:
    """Wait until the process has ended, or for GONE_SECONDS."""
    ended, _, _ = select.select([pidfd], [], [], GONE_SECONDS)
    return bool(ended)


async def test_a_database_made_from_a_template_holds_its_rows(server: PostgresServer) -> None:
    server.create_database("model")
    await query(server.url("model"), "CREATE TABLE screws AS SELECT 'M6 × 20' AS name")

    server.create_database("copy", template="model")

    assert await query(server.url("copy"), "SELECT name FROM screws") == "M6 × 20"


async def test_a_dropped_database_takes_no_more_connections(server: PostgresServer) -> None:
    server.create_database("short-lived")
    connection = await asyncpg.connect(server.url("short-lived"))

    server.drop_database("short-lived")

    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await query(server.url("short-lived"), "SELECT 1")
    connection.terminate()


async def test_what_was_committed_outlives_a_crash_of_the_server(server: PostgresServer) -> None:
    server.create_database("lasting")
    await query(server.url("lasting"), "CREATE TABLE screws AS SELECT 42 AS amount")

    server.restart(immediate=True)

    assert await query(server.url("lasting"), "SELECT amount FROM screws") == 42


@pytest.mark.parametrize(("durable", "fsync"), [(True, "on"), (False, "off")])
async def test_a_server_syncs_to_disk_when_it_is_asked_to(
    server: PostgresServer, *, durable: bool, fsync: str
) -> None:
    with PostgresServer(server.binaries, durable=durable) as other:
        assert await query(other.url("postgres"), "SHOW fsync") == fsync


async def test_a_closed_server_leaves_no_process_and_no_files(server: PostgresServer) -> None:
    with PostgresServer(server.binaries) as other:
        assert other.pid is not None
        pidfd = os.pidfd_open(other.pid)
        folder = home(other.url("postgres"))
        assert folder.is_dir()

    assert is_gone(pidfd)
    assert not folder.exists()
    os.close(pidfd)


def test_a_killed_session_takes_its_server_with_it(server: PostgresServer) -> None:
    program = """if True:
        import sys, time
        from pathlib import Path
        from tests.postgres import PostgresServer
        server = PostgresServer(Path(sys.argv[1]))
        server.start()
        print(server.pid, server.url(""), flush=True)
        time.sleep(60)
    """
    with subprocess.Popen(
        [sys.executable, "-c", program, server.binaries], stdout=subprocess.PIPE, text=True
    ) as session:
        assert session.stdout is not None
        pid, url = session.stdout.readline().split()
        pidfd = os.pidfd_open(int(pid))

        session.send_signal(signal.SIGKILL)

    assert is_gone(pidfd)
    os.close(pidfd)
    shutil.rmtree(home(url))


def test_a_folder_named_wrongly_is_not_replaced_by_another_postgres(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(BINARIES_VARIABLE, str(tmp_path))

    reason = postgres_or_reason()

    assert find_binaries() is None
    assert isinstance(reason, str)
    assert str(tmp_path) in reason
