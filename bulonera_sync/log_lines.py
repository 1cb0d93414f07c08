"""The lines of the sync log: a record laid out, and read back. The file is `logs`' matter.

The guide's section "Logging Output" shows the layout.
"""

import contextlib
import functools
import itertools
import json
import logging
import math
import re
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from logging import LogRecord

from bulonera_sync.bodies import shorten

LOGGER = "bulonera_sync"
# What the guide's lines call the program.
MODULE = "sync_views"
INDENT = "    "

MAX_MESSAGE = 2_000
MAX_KEY = 100
MAX_VALUE = 500
MAX_TRACEBACK = 16 * 1024

Layout = Callable[[LogRecord], str]

# What every record carries; the rest came in by `extra=`.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_TOKEN = re.compile(r"\b(Token|Bearer) +[\w.~+/=-]{16,}", re.IGNORECASE | re.ASCII)
_TRACE_HEAD = re.compile(
    r"(?:Traceback|  \+ Exception Group Traceback|Stack) \(most recent call last\):$", re.MULTILINE
)
_LINE = re.compile(rf"(\w+(?: \d+)?) (\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d) {MODULE} (.*)", re.ASCII)


def lay_out_text(record: LogRecord) -> str:
    """Return the record as the guide shows it: a line, the context, then the traceback.

    Everything below the first line is indented by four spaces, and no text can break a line. A
    context line holds ": ", the first line of a traceback never does.
    """
    when = _second("%Y-%m-%d %H:%M:%S", int(record.created))
    lines = [f"{record.levelname} {when} {MODULE} {_message(record)}"]
    lines += [f"{key}: {_text(value)}" for key, value in _context(record)]
    lines += _traceback(record)
    return f"\n{INDENT}".join(lines)


def lay_out_json(record: LogRecord) -> str:
    """Return the record as one line of JSON; the context's numbers and nulls stay so."""
    entry = {
        "level": record.levelname,
        "time": _second("%Y-%m-%dT%H:%M:%SZ", int(record.created)),
        "module": MODULE,
        "message": _message(record),
        "context": {key: _plain(value) for key, value in _context(record)},
    }
    if trace := _traceback(record):
        entry["traceback"] = "\n".join(trace)
    return json.dumps(entry, allow_nan=False)


LAYOUTS: Mapping[str, Layout] = {"text": lay_out_text, "json": lay_out_json}


@functools.lru_cache(maxsize=8)
def _second(layout: str, seconds: int) -> str:
    return time.strftime(layout, time.gmtime(seconds))


def _message(record: LogRecord) -> str:
    return _inert_message(record.getMessage())


# What is logged of sales are a few fixed sentences.
@functools.lru_cache(maxsize=64)
def _inert_message(text: str) -> str:
    return shorten(_without_tokens(text, MAX_MESSAGE), MAX_MESSAGE)


def _context(record: LogRecord) -> list[tuple[str, object]]:
    found = [(_key(str(k)), value) for k, value in vars(record).items() if k not in _STANDARD]
    return found if is_ours(record) else [("logger", record.name), *found]


def is_ours(record: LogRecord) -> bool:
    """Say whether the package itself wrote the record."""
    return record.name == LOGGER or record.name.startswith(f"{LOGGER}.")


@functools.lru_cache(maxsize=256)
def _key(key: str) -> str:
    # A colon would end the key too early for whoever reads it back.
    return shorten(key, MAX_KEY).replace(":", r"\x3a")


def _text(value: object) -> str:
    if type(value) is int:
        return str(value)
    text = _words(value)
    # As nearly all are: no token to hide, nothing to escape.
    if " " not in text and len(text) <= MAX_VALUE and text.isprintable():
        return text
    return shorten(_without_tokens(text, MAX_VALUE), MAX_VALUE)


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return _text(value)


def _words(value: object) -> str:
    """Return a value as text; null, true, lists and mappings as JSON writes them."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool | list | tuple | dict):
        # A mapping of keys that JSON knows no form for, or one that holds itself.
        with contextlib.suppress(TypeError, ValueError):
            return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _traceback(record: LogRecord) -> list[str]:
    """Return the lines of the record's traceback and stack, as they are written."""
    if not record.exc_info and not record.stack_info:
        return []
    error = record.exc_info[1] if record.exc_info else None
    text = "".join(traceback.format_exception(error)) if error is not None else ""
    text = (text + (record.stack_info or "")).rstrip("\n")
    if text and not _TRACE_HEAD.match(text):
        # An exception that was never raised has no head of its own.
        text = f"Traceback (most recent call last):\n{text}"
    if len(text) > MAX_TRACEBACK:
        half = MAX_TRACEBACK // 2
        text = f"{text[:half]}\n... {len(text) - 2 * half} characters ...\n{text[-half:]}"
    lines = _without_tokens(text, MAX_TRACEBACK).split("\n")
    return [shorten(line, MAX_MESSAGE) for line in lines if line]


def _without_tokens(text: str, limit: int) -> str:
    # Most values are one word. What lies far beyond the limit is cut off later anyway.
    return _TOKEN.sub(r"\1 [hidden]", text[: 2 * limit]) if " " in text else text


@dataclass(frozen=True, slots=True)
class Entry:
    """A record read back from the file; its texts are escaped as a text file has them."""

    level: str
    time: datetime
    message: str
    context: Mapping[str, str]
    traceback: str


def read_entries(text: str) -> Iterator[Entry]:
    """Yield the records of a piece of the file, whole lines of either layout.

    Lines that belong to no record are passed over: the rest of one whose beginning is elsewhere.
    """
    for block in re.split(rf"\n(?!{INDENT})", text):
        entry = _read_json(block) if block.startswith("{") else _read_text(block)
        if entry:
            yield entry


def _read_text(block: str) -> Entry | None:
    first, *rest = block.split(f"\n{INDENT}")
    match = _LINE.fullmatch(first)
    if match is None:
        return None
    context = list(itertools.takewhile(lambda line: ": " in line, rest))
    return Entry(
        level=match[1],
        time=datetime.strptime(match[2], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC),
        message=match[3],
        context=dict(line.split(": ", 1) for line in context),
        traceback="\n".join(rest[len(context) :]),
    )


def _read_json(block: str) -> Entry | None:
    try:
        said = json.loads(block)
        return Entry(
            level=said["level"],
            time=datetime.fromisoformat(said["time"]),
            message=said["message"],
            context={key: _words(value) for key, value in said["context"].items()},
            traceback=said.get("traceback", ""),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
