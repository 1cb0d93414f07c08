"""Exit codes, one-line errors, and what a light command does not wait for."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from bulonera_sync import __version__
from tests.cli.conftest import Run
from tests.postgres import PostgresServer
from tests.threads import run_apart

PROGRAM = (sys.executable, "-m", "bulonera_sync")
HEAVY = ("sqlalchemy", "aiohttp", "alembic", "asyncpg", "aiosqlite", "pydantic", "rich")


def test_version_is_the_packages(run_anywhere: Run) -> None:
    ran = run_anywhere("--version")

    assert (ran.code, ran.out) == (0, f"bulonera-sync {__version__}\n")


def test_help_names_every_command(run_anywhere: Run) -> None:
    ran = run_anywhere("--help")

    assert ran.code == 0
    for command in ("serve", "init", "user", "token", "catalog", "db", "config"):
        assert f"\n  {command} " in ran.out


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    program = (
        "import sys; from bulonera_sync.cli.main import main; main(['--help']);"
        f"print([each for each in {HEAVY} if each in sys.modules], file=sys.stderr)"
    )

    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=True
    )

    assert ran.stderr == "[]\n"


@pytest.mark.parametrize("arguments", [(), ("user",), ("catalog",)])
def test_a_group_without_its_command_shows_help_as_wrong_usage(
    run_anywhere: Run, arguments: tuple[str, ...]
) -> None:
    ran = run_anywhere(*arguments)

    assert (ran.code, ran.out) == (2, "")
    assert "Commands:" in ran.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("usr",), "No such command 'usr'"),
        (("user", "add"), "NAME"),
        (("user", "add", "ana", "--role", "boss"), "--role"),
        (("user", "list", "--jsn"), "--jsn"),
        (("token", "revoke", "first"), "ID"),
        (("catalog", "list", "tools"), "customers|products"),
        (("catalog", "list", "products", "--limit", "0"), "--limit"),
        (("serve", "--data", "here"), "--demo"),
        (("serve", "--port", "65536"), "--port"),
        (("--config", "here.toml", "init"), "folder"),
    ],
)
def test_wrong_usage_exits_with_2_and_names_what_is_wrong(
    run_anywhere: Run, arguments: tuple[str, ...], words: str
) -> None:
    ran = run_anywhere(*arguments)

    assert ran.code == 2
    assert words in ran.error


def test_a_refused_operation_exits_with_1(run: Run) -> None:
    run("user", "add", "ana")

    ran = run("user", "add", "ana")

    assert (ran.code, ran.error) == (1, "Error: user ana exists already")


def test_what_is_not_there_exits_with_1(run: Run) -> None:
    ran = run("token", "revoke", 99)

    assert ran.code == 1
    assert "no token 99" in ran.error


def test_a_wrong_setting_exits_with_3(run_anywhere: Run, folder: Path) -> None:
    (folder / "config.toml").write_text("[server]\nport = 99999\n")

    ran = run_anywhere("user", "list")

    assert ran.code == 3
    assert "[server] port" in ran.error


def test_a_named_file_that_is_missing_exits_with_3(run_anywhere: Run) -> None:
    ran = run_anywhere("--config", "nowhere.toml", "user", "list")

    assert ran.code == 3
    assert "nowhere.toml" in ran.error


@pytest.mark.parametrize("command", [("user", "list"), ("user", "add", "ana"), ("db", "upgrade")])
def test_a_database_out_of_reach_exits_with_4(
    run_anywhere: Run, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("BULONERA_STORE__URL", "postgresql://ana:secret@127.0.0.1:1/shop")

    ran = run_anywhere(*command)

    assert ran.code == 4
    assert "can't be reached" in ran.error
    assert "secret" not in ran.error


def test_a_file_that_is_no_database_exits_with_4(tmp_path: Path) -> None:
    (tmp_path / "bulonera-sync.db").write_text("Dear diary, " * 100)

    ran = subprocess.run(
        [*PROGRAM, "user", "list"], capture_output=True, text=True, cwd=tmp_path, check=False
    )

    assert (ran.returncode, ran.stdout) == (4, "")
    assert ran.stderr.count("\n") == 1
    assert "not a database" in ran.stderr


def test_an_unexpected_error_leaves_one_line_and_its_details_in_the_log(
    run_anywhere: Run,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    postgres_server: PostgresServer,
    postgres_template: str,
) -> None:
    postgres_server.create_database("broken", template=postgres_template)
    url = postgres_server.url("broken")
    monkeypatch.setenv("BULONERA_STORE__URL", url)
    run_apart(_execute(url, "ALTER TABLE users DROP COLUMN role"))

    ran = run_anywhere("user", "list")

    assert ran.code == 1
    assert "logs/sync.log" in ran.error
    error_id = ran.error.split("error_id ")[1].rstrip(")")
    log = (folder / "logs/sync.log").read_text()
    assert error_id in log
    assert "Traceback" in log


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def test_a_hostile_name_in_an_error_is_shown_inert(run: Run) -> None:
    ran = run("token", "create", "\x1b[2J\x9b31m\u202eana\n")

    assert ran.code == 1
    assert "\\x1b[2J\\x9b31m\\u202eana" in ran.error


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    # The pipe's only reader is closed before the first byte.
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ran = subprocess.run(
            [*PROGRAM, "config", "show"],
            stdout=writer,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            check=False,
        )
    finally:
        os.close(writer)

    assert ran.stderr == b""
    assert ran.returncode in {1, 141}


async def test_ctrl_c_ends_a_command_with_130_and_no_traceback(
    tmp_path: Path, postgres_server: PostgresServer, postgres_template: str
) -> None:
    postgres_server.create_database("locked", template=postgres_template)
    url = postgres_server.url("locked")
    connection = await asyncpg.connect(url)
    await connection.execute("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE")

    process = await asyncio.create_subprocess_exec(
        *PROGRAM,
        "user",
        "list",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "BULONERA_STORE__URL": url},
    )
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    while not await connection.fetchval(waiting):
        pass
    process.send_signal(signal.SIGINT)
    out, err = await process.communicate()
    await connection.close()

    assert (process.returncode, out, err) == (130, b"", b"")
