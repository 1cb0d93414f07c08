"""`db backup` and `db restore`, on both engines."""

import os
import pty
import subprocess
import sys
from asyncio import to_thread
from pathlib import Path

import pytest

from bulonera_sync.cli.locks import only_daemon_on
from tests.cli.conftest import Run
from tests.cli.shops import Shop, shop
from tests.end_to_end.processes import on_store, serving_process
from tests.factories import make_sale
from tests.postgres import PostgresServer
from tests.store.databases import ON_SQLITE, is_sqlite

__all__ = ["shop"]


@pytest.fixture(autouse=True)
def _programs(
    store_url: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Find the programs of the tests' own Postgres on PATH."""
    if not is_sqlite(store_url):
        server: PostgresServer = request.getfixturevalue("postgres_server")
        monkeypatch.setenv("PATH", f"{server.binaries}{os.pathsep}{os.environ['PATH']}")


def users(run: Run) -> list[str]:
    return [each["username"] for each in run("user", "list", "--json").json["results"]]


def test_a_backup_says_what_it_holds(run: Run, folder: Path) -> None:
    run("user", "add", "ana")

    ran = run("db", "backup", "shop.backup")

    assert (ran.code, ran.err) == (0, "")
    size = (folder / "shop.backup").stat().st_size
    assert ran.out == (
        "shop.backup: 1 users, 0 customers, 0 products, 0 sales, 0 quarantine; no sale yet; "
        f"{size} bytes.\n"
    )


def test_a_restore_says_what_is_there_and_where_the_former_is(run: Run, folder: Path) -> None:
    run("user", "add", "ana")
    run("db", "backup", "shop.backup")
    run("user", "add", "beto")

    ran = run("db", "restore", "shop.backup", "--yes")

    assert (ran.code, ran.err) == (0, "")
    assert "is restored: 1 users" in ran.out
    assert users(run) == ["ana"]
    kept = Path(ran.out.rsplit(" kept in ", 1)[1].strip().removesuffix("."))
    assert run("db", "restore", kept, "--yes").code == 0
    assert users(run) == ["ana", "beto"]


def test_it_counts_the_sales_taken_after_the_backup(run: Run, shop: Shop) -> None:
    ana = shop.user("ana")
    shop.upload(ana, make_sale())
    run("db", "backup", "shop.backup")
    shop.upload(ana, make_sale(), make_sale())

    ran = run("db", "restore", "shop.backup", "--yes")

    kept = ran.out.rsplit(" kept in ", 1)[1].strip().removesuffix(".")
    assert ran.code == 0
    assert f"2 sales taken after the backup are only in {kept} and on the tills" in ran.err


def test_off_a_terminal_it_needs_yes(run: Run) -> None:
    run("user", "add", "ana")
    run("db", "backup", "shop.backup")
    run("user", "add", "beto")

    ran = run("db", "restore", "shop.backup")

    assert ran.code == 1
    assert "--yes" in ran.error
    assert users(run) == ["ana", "beto"]


def test_a_missing_or_foreign_file_is_named(run: Run, folder: Path) -> None:
    (folder / "notas.txt").write_text("notas")

    for file in ("nada.backup", "notas.txt"):
        ran = run("db", "restore", file, "--yes")

        assert ran.code == 1
        assert file in ran.error


def test_a_folder_that_is_not_there_is_not_made(run: Run, folder: Path) -> None:
    ran = run("db", "backup", "disk/shop.backup")

    assert ran.code == 1
    assert str(folder / "disk") in ran.error
    assert not (folder / "disk").exists()


async def test_it_is_refused_while_a_daemon_runs(run: Run, folder: Path, store_url: str) -> None:
    # A command has a loop of its own, which can't be started inside the test's.
    await to_thread(run, "user", "add", "ana")
    await to_thread(run, "db", "backup", "shop.backup")

    async with serving_process(folder, **on_store(store_url)) as daemon:
        during = await to_thread(run, "db", "restore", "shop.backup", "--yes")
        backed_up = await to_thread(run, "db", "backup", "shop.backup")
        await daemon.end()
    after = await to_thread(run, "db", "restore", "shop.backup", "--yes")

    assert during.code == 1
    assert "stop it" in during.error
    assert backed_up.code == 0
    assert after.code == 0


@ON_SQLITE
def test_a_lock_of_a_daemon_is_told_with_its_process(
    run: Run, folder: Path, store_url: str
) -> None:
    run("db", "backup", "shop.backup")

    with only_daemon_on(Path(store_url.removeprefix("sqlite:///"))):
        ran = run("db", "restore", "shop.backup", "--yes")

    assert ran.code == 1
    assert f"(process {os.getpid()})" in ran.error


@ON_SQLITE
def test_an_unreadable_database_asks_how_many_numbers_to_skip(run: Run, store_url: str) -> None:
    run("user", "add", "ana")
    run("db", "backup", "shop.backup")
    path = Path(store_url.removeprefix("sqlite:///"))
    path.write_bytes(b"ruin" * 5_000)

    refused = run("db", "restore", "shop.backup", "--yes")
    taken = run("db", "restore", "shop.backup", "--yes", "--skip", "1000")

    assert refused.code == 1
    assert "--skip" in refused.error
    assert taken.code == 0
    assert users(run) == ["ana"]
    assert run("db", "check").code == 0


@ON_SQLITE
def test_restored_where_nothing_was_it_warns_of_numbers(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("db", "backup", "shop.backup")
    monkeypatch.setenv("BULONERA_STORE__URL", f"sqlite:///{folder}/new/shop.db")

    ran = run("db", "restore", "shop.backup", "--yes")

    assert ran.code == 0
    assert "--skip N" in ran.err
    assert (folder / "new" / "shop.db").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("answer", "left"), [("y", ["ana"]), ("n", ["ana", "beto"])])
def test_on_a_terminal_it_asks_once(
    run: Run, folder: Path, store_url: str, answer: str, left: list[str]
) -> None:
    run("user", "add", "ana")
    run("db", "backup", "shop.backup")
    run("user", "add", "beto")

    code, shown = _on_a_terminal(folder, store_url, answer, "db", "restore", "shop.backup")

    assert code == (0 if answer == "y" else 1)
    assert shown.count("[y/N]") == 1
    assert shown.index("2 users") < shown.index("1 users") < shown.index("[y/N]")
    assert users(run) == left


def _on_a_terminal(folder: Path, store_url: str, answer: str, *arguments: str) -> tuple[int, str]:
    """Run a command on a terminal and answer it; return its exit code and what was shown."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "bulonera_sync", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env={**os.environ, "BULONERA_STORE__URL": store_url},
    ) as process:
        os.close(theirs)
        os.write(ours, f"{answer}\n".encode())
        shown = b""
        try:
            while part := os.read(ours, 4096):
                shown += part
        except OSError:
            # Linux says so when the other end is closed.
            pass
        os.close(ours)
        return process.wait(), shown.decode()
