"""One daemon per SQLite file: a lock that the system lets go of however its holder ends."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bulonera_sync.cli.sentences import reason
from bulonera_sync.cli.words import phrase
from bulonera_sync.errors import RefusedError, StoreUnavailableError

if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: IO[str]) -> None:
        # A byte far behind the holder's name, which others may read so.
        file.seek(1 << 20)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _try_lock(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def only_daemon_on(database: Path) -> Iterator[None]:
    """Hold the lock file beside a database while the block runs.

    The file stays: removed, it could be locked by one while another makes it anew. Raises
    `RefusedError` when another daemon holds it, `StoreUnavailableError` when it can't be made.
    """
    with _open_lock_file(_lock_file_of(database)) as file:
        try:
            _try_lock(file)
        except (BlockingIOError, PermissionError) as error:
            text = phrase(
                "{who} serves {database}; stop it first, or give this one another [store] url",
                who=_holder(file),
                database=database,
            )
            raise RefusedError(text) from error
        except OSError as error:
            text = phrase("{file} can't be locked: {why}", file=file.name, why=reason(error))
            raise StoreUnavailableError(text) from error
        _sign(file)
        yield


def _lock_file_of(database: Path) -> Path:
    # Resolved: by whatever link a daemon comes to the file, the lock is the same.
    path = database.resolve()
    return path.with_name(f"{path.name}.lock")


@contextmanager
def _open_lock_file(path: Path) -> Iterator[IO[str]]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        text = phrase(
            "{file} can't be made: {why}; the daemon needs to write in that folder",
            file=path,
            why=reason(error),
        )
        raise StoreUnavailableError(text) from error
    with os.fdopen(descriptor, "r+", encoding="ascii", errors="replace") as file:
        yield file


def _sign(file: IO[str]) -> None:
    file.seek(0)
    file.truncate()
    file.write(f"{os.getpid()}\n")
    file.flush()


def _holder(file: IO[str]) -> str:
    """Return who holds the lock, in words: which process, once that is written."""
    file.seek(0)
    process = file.readline().strip()
    if not process.isdigit():
        return phrase("another daemon")
    return phrase("another daemon (process {process})", process=process)
