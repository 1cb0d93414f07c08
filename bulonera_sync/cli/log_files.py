"""The log's files as they are read while others write and rotate them: backwards, and followed.

A file is known by its inode, never by its name: a rotation moves sync.log to sync.log.1, that to
.2 and so on. An inode number is of no use again as long as we hold its file open.
"""

import os
import stat
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from io import FileIO
from pathlib import Path

from bulonera_sync.cli.log_events import Cutter, Event, begins_event, cut_backwards
from bulonera_sync.cli.output import complain
from bulonera_sync.cli.sentences import reason
from bulonera_sync.cli.words import phrase
from bulonera_sync.errors import RefusedError

BLOCK = 64 * 1024
# How often a file at its end is looked at, and how long a record waits for its next line.
POLL_SECONDS = 0.2
QUIET_SECONDS = 0.5
# To open a file before the next rotation moves it.
MAX_TRIES = 20

Seen = tuple[Path, os.stat_result]


class LogFiles:
    """The current file and its backups. Whatever can't be read raises `RefusedError`."""

    def __init__(self, current: Path, backups: int) -> None:
        numbered = (current.with_name(f"{current.name}.{n}") for n in range(1, backups + 1))
        # The newest first.
        self._paths = (current, *numbered)

    def newest(self) -> FileIO | None:
        """Return the newest file there is, open, or None."""
        return self._open(lambda: self._first(self._paths))

    def oldest(self) -> FileIO | None:
        """Return the oldest file there is, open, or None."""
        return self._open(lambda: self._first(reversed(self._paths)))

    def older(self, file: FileIO) -> FileIO | None:
        """Return the file that was the current one before this one, open, or None."""
        return self._open(lambda: self._first(self._older_than(file)))

    def newer(self, file: FileIO) -> FileIO | None:
        """Return the file that came after this one, open, or None while there is none."""
        return self._open(lambda: self._first(self._newer_than(file)))

    def is_current(self, file: FileIO) -> bool:
        seen = self._look(self._paths[0])
        return seen is not None and _is(file, seen)

    def has_outrun(self, file: FileIO) -> bool:
        """Say whether a file was rotated away: even the oldest that can be is newer."""
        oldest = self._look(self._paths[-1])
        written = os.fstat(file.fileno()).st_mtime_ns
        return oldest is not None and self._place(file) is None and oldest[1].st_mtime_ns > written

    def _open(self, choose: Callable[[], Seen | None]) -> FileIO | None:
        # Chosen once more when it is open: a rotation may have moved another file to its name.
        for _ in range(MAX_TRIES):
            chosen = choose()
            if chosen is None:
                return None
            opened = _open(chosen)
            again = choose()
            if opened and again and _is(opened, again):
                return opened
            if opened:
                opened.close()
        return None

    def _first(self, paths: Iterable[Path]) -> Seen | None:
        return next(filter(None, map(self._look, paths)), None)

    def _look(self, path: Path) -> Seen | None:
        try:
            return path, path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unreadable(path, reason(error)) from error

    def _place(self, file: FileIO) -> int | None:
        # From the current one on, as files move: one that moves meanwhile is met all the same.
        for place, path in enumerate(self._paths):
            seen = self._look(path)
            if seen and _is(file, seen):
                return place
        return None

    def _older_than(self, file: FileIO) -> Iterable[Path]:
        place = self._place(file)
        if place is not None:
            return self._paths[place + 1 :]
        written = os.fstat(file.fileno()).st_mtime_ns
        return [path for path, last in self._written() if last < written]

    def _newer_than(self, file: FileIO) -> Iterable[Path]:
        place = self._place(file)
        if place is not None:
            return reversed(self._paths[:place])
        # Removed by hand, so that the next is the one made anew; or, while we lagged behind,
        # rotated away, so that the next is the oldest there is.
        written = os.fstat(file.fileno()).st_mtime_ns
        newer = [path for path, last in self._written() if last > written]
        return reversed(newer) if newer else self._paths[:1]

    def _written(self) -> Iterator[tuple[Path, int]]:
        for seen in filter(None, map(self._look, self._paths)):
            yield seen[0], seen[1].st_mtime_ns


def _is(file: FileIO, seen: Seen) -> bool:
    return os.path.samestat(os.fstat(file.fileno()), seen[1])


def _open(seen: Seen) -> FileIO | None:
    path, status = seen
    if not stat.S_ISREG(status.st_mode):
        raise _unreadable(path, phrase("it is no regular file"))
    try:
        return FileIO(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, reason(error)) from error


def _unreadable(path: Path, why: str) -> RefusedError:
    return RefusedError(phrase("the log {file} can't be read: {why}", file=path, why=why))


def size_of(file: FileIO) -> int:
    return os.fstat(file.fileno()).st_size


def events_before(files: LogFiles, file: FileIO, end: int) -> Generator[Event, None, None]:
    """Yield the events of an open file up to `end`, then those of all older ones, last first.

    The file is closed when they are read, or the iterator closed.
    """
    current: FileIO | None = file
    while current is not None:
        with current:
            yield from cut_backwards(_lines_before(current, end))
            older = files.older(current)
        current, end = older, size_of(older) if older else 0


def _lines_before(file: FileIO, end: int) -> Iterator[bytes]:
    """Yield the lines up to `end` without their ends, the last first: it may be half a line."""
    rest, size = b"", BLOCK
    while end:
        start = max(0, end - size)
        rest, *lines = (os.pread(file.fileno(), end - start, start) + rest).split(b"\n")
        yield from reversed(lines)
        # Ever more of a line without an end, so that none of it is moved often.
        end, size = start, BLOCK if lines else 2 * size
    yield rest


def start_of_last_event(file: FileIO, end: int) -> int:
    """Return where the last event before `end` begins, whole or still being written."""
    start = end + 1
    for line in _lines_before(file, end):
        start -= len(line) + 1
        if begins_event(line):
            break
    return start


def start_of_last_line(file: FileIO, end: int) -> int:
    """Return where the line begins that is still being written: at the end when none is."""
    return end - len(next(_lines_before(file, end)))


class Follower:
    """Reads what is appended to the log, each event once and in order, from file to file.

    It goes on where its own file was moved to, and then through those that came after. What is
    rotated away before it was read is lost, which it says on stderr: as much can wait as the
    backups hold.
    """

    def __init__(
        self,
        files: LogFiles,
        file: FileIO | None,
        *,
        poll: float = POLL_SECONDS,
        quiet: float = QUIET_SECONDS,
    ) -> None:
        """Begin in the file, where it stands; without one, with the first that comes."""
        self._files = files
        self._file = file
        self._poll = poll
        self._quiet = quiet
        self._cutter = Cutter()
        self._grew_at = time.monotonic()

    def events(self) -> Iterator[list[Event]]:
        """Yield what came since the last look, often nothing, for ever; wait after nothing."""
        while True:
            events = self._come()
            yield [] if events is None else events
            if events is None:
                time.sleep(self._poll)

    def _come(self) -> list[Event] | None:
        """Return what came, or None when there is nothing to read just now."""
        if self._file is None:
            # There was none, so that all there is now came since, were it several files already.
            self._file = self._files.oldest()
            return None if self._file is None else []
        if data := self._file.read(BLOCK):
            self._grew_at = time.monotonic()
            return list(self._cutter.feed(data))
        if _is_emptied(self._file):
            self._file.seek(0)
            return self._cutter.end()
        newer = None if self._files.is_current(self._file) else self._files.newer(self._file)
        if newer is not None:
            former, self._file = self._file, newer
            if self._files.has_outrun(former):
                text = phrase(
                    "The log was rotated faster than it was read: events may be missing here."
                )
                complain(text)
            return self._finish(former)
        if time.monotonic() - self._grew_at < self._quiet:
            return None
        return self._cutter.settle() or None

    def _finish(self, file: FileIO) -> list[Event]:
        # Once more: it may have grown after its last read and before it was moved.
        with file:
            return [*self._cutter.feed(file.readall()), *self._cutter.end()]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _is_emptied(file: FileIO) -> bool:
    # Emptied in place, as some rotate: logrotate's copytruncate.
    return size_of(file) < file.tell()
