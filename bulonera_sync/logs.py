"""The sync log: one rotating file, written by a thread of its own. Its lines are `log_lines`'.

Whoever logs lays its record out and puts it in a queue, nothing else. A full queue, a full disk or
a missing folder loses records: they are counted, told in the file later, and nobody waits or fails.
"""

import contextlib
import fcntl
import itertools
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from io import TextIOWrapper
from logging import LogRecord
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

from bulonera_sync.config import LogSettings
from bulonera_sync.log_lines import LAYOUTS, LOGGER, Layout, is_ours

# Records that wait for the disk; beyond it they are lost.
MAX_QUEUED = 10_000
MAX_AT_ONCE = 500
# So long the first waits for others to be written with it. A write takes a dozen system calls,
# after each of which the thread asks whoever works for the interpreter: it costs an upload more
# than its record does.
GATHER_SECONDS = 0.02
# To hold the file before another process rotates it once more.
MAX_TRIES = 20

Call = Callable[[], object]


class LogQueue(QueueHandler):
    """Where records are put by whoever logs: as finished text, so that nothing changes later."""

    def __init__(self, layout: Layout, level: str) -> None:
        # Unlike Queue it may be put to while it is being put to: by a finalizer, by a signal.
        self.records: SimpleQueue[str | Call | None] = SimpleQueue()
        super().__init__(self.records)
        self.layout = layout
        self.taken = 0
        self.lost = 0
        self.setLevel(level)
        self.addFilter(_is_wanted)

    def prepare(self, record: LogRecord) -> str:
        """Return the record's lines; the stock one would mix the traceback into the message."""
        return self.layout(record) + "\n"

    def enqueue(self, record: LogRecord | str) -> None:
        """Put the text behind the others, or lose it when too many wait."""
        if isinstance(record, str) and self.records.qsize() < MAX_QUEUED:
            self.records.put_nowait(record)
            self.taken += 1
        else:
            self.lost += 1

    def handleError(self, record: LogRecord) -> None:  # noqa: N802 (the name is logging's)
        """Lose a record that can't be laid out."""
        self.lost += 1


def _is_wanted(record: LogRecord) -> bool:
    """Say whether a record is ours, or a warning of a library that runs in the same process."""
    return is_ours(record) or record.levelno >= logging.WARNING


class LogFile(RotatingFileHandler):
    """The file itself, shared with other processes of ours. Only the writer's thread touches it."""

    def __init__(self, settings: LogSettings, queue: LogQueue) -> None:
        super().__init__(
            settings.file,
            maxBytes=settings.max_bytes,
            backupCount=settings.backups,
            encoding="utf-8",
            delay=True,
        )
        self.queue = queue
        self.settled = 0
        self.lost = 0
        self.told = 0
        self.problem: str | None = None
        self.is_fresh = True

    def add(self, texts: Sequence[str]) -> None:
        """Write the texts, each whole or not at all, and first how many were lost lately."""
        self._tell_losses()
        self.lost += len(self._write(texts))
        self.settled += len(texts)

    def finish(self) -> None:
        """Tell what was lost since the last record and close the file."""
        self._tell_losses()
        self.close()

    def _tell_losses(self) -> None:
        untold = self.queue.lost + self.lost - self.told
        if untold and not self._write([self._note(untold)]):
            self.told += untold

    def _note(self, untold: int) -> str:
        text = f"{untold} log records lost"
        return self.queue.prepare(LogRecord(LOGGER, logging.WARNING, __file__, 0, text, None, None))

    def _write(self, texts: Sequence[str]) -> Sized:
        """Append the texts in turn and return those that could not be written."""
        waiting = deque(texts)
        try:
            while waiting:
                with self._alone() as descriptor:
                    self._fill(descriptor, waiting)
        except OSError as error:
            self.problem = str(error)
        else:
            self.problem = None
        return waiting

    def _fill(self, descriptor: int, waiting: deque[str]) -> None:
        """Append until nothing waits, or the file was full and another begins."""
        size = os.fstat(descriptor).st_size
        # Asked here, where no other process of ours can be in the middle of a line.
        if self.is_fresh and size and self._ends_mid_line():
            _append(descriptor, b"\n")
            size += 1
        self.is_fresh = False
        most = MAX_AT_ONCE
        while waiting:
            block = _block(waiting, self.maxBytes - size, most)
            if not block:
                if size and self._has_rotated():
                    return
                block = [waiting[0].encode()]
            try:
                _append(descriptor, b"".join(block))
            except OSError:
                if len(block) == 1:
                    raise
                # The disk may take some of them yet.
                most = 1
                continue
            size += sum(map(len, block))
            for _ in block:
                waiting.popleft()

    def _has_rotated(self) -> bool:
        try:
            self.doRollover()
        except OSError:
            # A log that can't be rotated grows, rather than lose what comes.
            return False
        return True

    @contextlib.contextmanager
    def _alone(self) -> Iterator[int]:
        """Hold the open file against other processes of ours; yield its descriptor."""
        for tries_left in reversed(range(MAX_TRIES)):
            # A descriptor of its own, since a rotation closes the stream and would end the lock.
            held = os.dup(self._current().fileno())
            try:
                # Some network file systems know no locks: two may rotate at once there.
                with contextlib.suppress(OSError):
                    fcntl.flock(held, fcntl.LOCK_EX)
                # Another process may have rotated it while this one waited. The last try counts
                # in any case: there are file systems whose inode numbers mean nothing.
                if self._is_in_place(held) or not tries_left:
                    yield held
                    return
            finally:
                with contextlib.suppress(OSError):
                    fcntl.flock(held, fcntl.LOCK_UN)
                os.close(held)

    def _current(self) -> TextIOWrapper:
        """Return the open file; opened anew when the one we held was moved or removed."""
        held = self.stream
        if held is not None and self._is_in_place(held.fileno()):
            return held
        opened = self._open()
        self.setStream(opened)
        if held is not None:
            held.close()
        return opened

    def _is_in_place(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), Path(self.baseFilename).stat())
        except OSError:
            return False

    def _open(self) -> TextIOWrapper:
        file = Path(self.baseFilename)
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            # Who bought what is in it: its owner's alone, as the database is.
            file.touch(mode=0o600)
        self.is_fresh = True
        return super()._open()

    def _ends_mid_line(self) -> bool:
        """Say whether a power cut left half a record at the end of the file, which has a size."""
        with contextlib.suppress(OSError), Path(self.baseFilename).open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
        return False


def _block(waiting: Iterable[str], room: int, most: int) -> list[bytes]:
    """Return the first texts that fit in so many bytes, for one write: it costs more than they."""
    block: list[bytes] = []
    for text in itertools.islice(waiting, most):
        data = text.encode()
        room -= len(data)
        if room < 0:
            break
        block.append(data)
    return block


def _append(descriptor: int, data: bytes) -> None:
    """Append all of the data, or none of it when the disk takes only a part."""
    written = 0
    try:
        while written < len(data):
            written += os.write(descriptor, data[written:])
    except OSError:
        if written:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
        raise


class LogWriter(QueueListener):
    """The thread that moves records from the queue to the file, as many at once as wait."""

    def __init__(self, file: LogFile) -> None:
        super().__init__(file.queue.records)
        self.file = file
        self._is_hurried = threading.Event()

    def call(self, function: Call) -> None:
        """Make the call once what was logged before it is written, without delay."""
        self._is_hurried.set()
        self.file.queue.records.put_nowait(function)

    def handle(self, record: LogRecord | str | Call) -> None:
        """Write the text and those behind it; a call among them is made in its turn."""
        if isinstance(record, str) and self.file.queue.records.qsize() < MAX_AT_ONCE:
            self._is_hurried.wait(GATHER_SECONDS)
        texts: list[str] = []
        item: object = record
        while isinstance(item, str):
            texts.append(item)
            item = self._next() if len(texts) < MAX_AT_ONCE else None
        if texts:
            self.file.add(texts)
        if callable(item):
            self._is_hurried.clear()
            item()

    def _next(self) -> str | Call | None:
        try:
            return self.file.queue.records.get_nowait()
        except Empty:
            return None

    def finish(self, within: float) -> bool:
        """Write what waits and close the file; False when that takes longer than `within`."""
        # The call also keeps handle() from taking the sentinel, which ends the thread.
        self.call(self.file.finish)
        self.enqueue_sentinel()
        thread = self._thread
        if thread is not None:
            thread.join(within)
        return thread is None or not thread.is_alive()


class Log:
    """An open log: while it is, the records of this process go to its file."""

    def __init__(self, file: LogFile) -> None:
        self._queue = file.queue
        self._file = file
        self._writer = LogWriter(file)
        self._former_level: int | None = None

    @property
    def lost(self) -> int:
        """How many records were lost since it was opened."""
        return self._queue.lost + self._file.lost

    @property
    def problem(self) -> str | None:
        """Why the last record could not be written; None while all is well."""
        return self._file.problem

    def attach(self) -> None:
        """Begin to take the records of this process."""
        logger = logging.getLogger(LOGGER)
        self._former_level = logger.level
        # Of two logs open at once each takes its own level and up.
        logger.setLevel(min(self._queue.level, logger.level or self._queue.level))
        logging.getLogger().addHandler(self._queue)
        self._writer.start()

    def flush(self, within: float = 5.0) -> bool:
        """Wait until all that was logged before is in the file; False after `within` seconds."""
        written = threading.Event()
        self._writer.call(written.set)
        return written.wait(within)

    def close(self, within: float = 5.0) -> None:
        """Write what waits, in `within` seconds at most, and leave logging as it was found."""
        if self._former_level is None:
            return
        logging.getLogger().removeHandler(self._queue)
        logging.getLogger(LOGGER).setLevel(self._former_level)
        self._former_level = None
        if not self._writer.finish(within):
            self._queue.lost += self._queue.taken - self._file.settled
        self._queue.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_log(settings: LogSettings) -> Log:
    """Return the log, open; the file and its folder are made with the first record.

    Takes what the package logs at the settings' level and up, and the warnings of libraries.
    """
    queue = LogQueue(LAYOUTS[settings.format], settings.level)
    log = Log(LogFile(settings, queue))
    log.attach()
    return log
