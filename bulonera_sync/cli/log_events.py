"""The events that `log` shows: cut out of a file's lines, and chosen. Rules only: no file."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from bulonera_sync.log_lines import INDENT, Entry, read_entries

_INDENT = INDENT.encode()
_LEVELS = logging.getLevelNamesMapping()

Test = Callable[[Entry], bool]


@dataclass(frozen=True)
class Event:
    """A record as the file has it, or a line that belongs to none."""

    lines: tuple[str, ...]

    @cached_property
    def entry(self) -> Entry | None:
        """What the record says, its time in UTC; None for what is no record."""
        return _read("\n".join(self.lines))

    @property
    def is_json(self) -> bool:
        return self.lines[0].startswith("{")


def _read(block: str) -> Entry | None:
    # Anything at all may stand in a broken line: a 13th month, brackets a thousand deep.
    try:
        entry = next(read_entries(block), None)
        return _in_utc(entry) if entry else None
    except (ValueError, OverflowError, RecursionError):
        return None


def _in_utc(entry: Entry) -> Entry | None:
    texts: Sequence[object] = (entry.level, entry.message, entry.traceback)
    if not all(isinstance(text, str) for text in texts):
        return None
    time = entry.time.replace(tzinfo=entry.time.tzinfo or UTC).astimezone(UTC)
    return Entry(entry.level, time, entry.message, entry.context, entry.traceback)


class Cutter:
    """Cuts what is read of a file, from its beginning on, into events.

    A record of the text layout is whole only when something else begins: what lies below its
    first line may still come. One of the JSON layout is whole at its line's end.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._record: list[str] = []

    def feed(self, data: bytes) -> Iterator[Event]:
        """Yield what these next bytes of the file made whole."""
        self._rest += data
        if b"\n" in data:
            *lines, self._rest = self._rest.split(b"\n")
            for line in lines:
                yield from self._take(line)

    def settle(self) -> list[Event]:
        """Return the record that waits, with the lines that have come: no more are expected."""
        record, self._record = self._record, []
        return [Event(tuple(record))] if record else []

    def end(self) -> list[Event]:
        """Return all that waits, half a line too: the file is at its end."""
        rest, self._rest = self._rest, bytearray()
        return [*self._take(rest), *self.settle()]

    def _take(self, line: bytes | bytearray) -> list[Event]:
        text = _decoded(line)
        if not text:
            return []
        if self._record and text.startswith(INDENT):
            self._record.append(text)
            return []
        whole = self.settle()
        if text.startswith(("{", INDENT)):
            return [*whole, Event((text,))]
        self._record = [text]
        return whole


def cut_backwards(lines: Iterable[bytes]) -> Iterator[Event]:
    """Yield the events of lines that come last first: the same as `Cutter`'s, last first."""
    below: list[str] = []
    for line in lines:
        text = _decoded(line)
        if text.startswith(INDENT):
            below.append(text)
        elif text.startswith("{"):
            yield from _apart(below)
            yield Event((text,))
            below = []
        elif text:
            yield Event((text, *reversed(below)))
            below = []
    yield from _apart(below)


def _apart(lines: Iterable[str]) -> Iterator[Event]:
    return (Event((line,)) for line in lines)


def _decoded(line: bytes | bytearray) -> str:
    return line.decode("utf-8", "backslashreplace")


def begins_event(line: bytes) -> bool:
    """Say whether an event begins with this line, unless it stands where none could go on."""
    return bool(line) and not line.startswith(_INDENT)


def is_wanted(event: Event, tests: Sequence[Test]) -> bool:
    """Say whether an event passes all tests; a line that is no record passes no test."""
    if not tests:
        return True
    entry = event.entry
    return entry is not None and all(test(entry) for test in tests)


def at_least(level: str) -> Test:
    """Return the test for records of this level and above."""
    least = _LEVELS[level]
    return lambda entry: _weight(entry.level) >= least


def _weight(level: str) -> int:
    # A level without a name is written as "Level 15".
    number = level.removeprefix("Level ")[:9]
    return int(number) if number.isdecimal() else _LEVELS.get(level, 0)


def not_before(time: datetime) -> Test:
    """Return the test for records of this time, which has a zone, and later."""
    return lambda entry: entry.time >= time


def names_any(named: Mapping[str, str]) -> Test:
    """Return the test for records with any of these values under its key."""
    wanted = {(key, value.lower()) for key, value in named.items()}
    return lambda entry: any(
        (key, value.lower()) in wanted for key, value in entry.context.items() if key in named
    )
