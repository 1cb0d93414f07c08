"""`log`: the last events of the log, the chosen ones, and those to come."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from datetime import datetime, tzinfo
from functools import partial
from io import FileIO
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bulonera_sync.cli.invocations import read, settings_of
from bulonera_sync.cli.log_events import (
    Cutter,
    Event,
    Test,
    at_least,
    is_wanted,
    names_any,
    not_before,
)
from bulonera_sync.cli.log_files import (
    Follower,
    LogFiles,
    events_before,
    size_of,
    start_of_last_event,
    start_of_last_line,
)
from bulonera_sync.cli.output import complain, inert, listing, print_json, say
from bulonera_sync.cli.pending import since_of
from bulonera_sync.cli.sales import sale_key
from bulonera_sync.cli.sentences import retold
from bulonera_sync.cli.words import phrase
from bulonera_sync.errors import NotFoundError, SchemaError, StoreUnavailableError
from bulonera_sync.log_lines import INDENT, MODULE, Entry
from bulonera_sync.times import time_text

if TYPE_CHECKING:
    from bulonera_sync.gateway import Account, FoundSale, Gateway

DEFAULT_NUMBER = 20
# As the layout of the log has it.
TIME = "%Y-%m-%d %H:%M:%S"
# ECMA-48 (SGR): faint, green, yellow, red, bold red.
COLOURS: Mapping[str, str] = {
    "DEBUG": "2",
    "INFO": "32",
    "WARNING": "33",
    "ERROR": "31",
    "CRITICAL": "1;31",
}

Show = Callable[[Event], str]


def log(
    context: typer.Context,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")
    ] = False,
    number: Annotated[
        int | None,
        typer.Option("-n", metavar="N", min=0, help="How many, 20 unless --since is given."),
    ] = None,
    level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] | None,
        typer.Option(case_sensitive=False, help="Only this level and above."),
    ] = None,
    sale: Annotated[
        str | None, typer.Option(metavar="SALE", help="Only this id, number or local_id.")
    ] = None,
    user: Annotated[str | None, typer.Option(metavar="NAME", help="Only this user's.")] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Only from 2h or 3d ago on, or 2026-02-16T12:00 (the shop's time)."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document; with -f one object a line.")
    ] = False,
) -> None:
    """Show the last events of the log, oldest first.

    With -f, what the log rotates away while nobody reads on, as in a stopped terminal, is missed.
    """
    zone = settings_of(context).sync.zone
    settings = settings_of(context).log
    begin = since_of(since, zone)
    tests = [
        *([at_least(level)] if level else []),
        *([not_before(begin)] if begin is not None else []),
        *([_about_sale(context, sale)] if sale is not None else []),
        *([_by_user(context, user)] if user is not None else []),
    ]
    count = DEFAULT_NUMBER if number is None and since is None else number
    in_words = partial(_text, zone=zone)
    files = LogFiles(settings.file, settings.backups)
    if follow:
        show = _json_line if as_json else in_words
        if not as_json:
            _tell_zone(zone)
        file = files.newest()
        if file is None:
            text = phrase("Waiting for {file}, which isn't there yet.", file=settings.file)
            complain(text)
        try:
            _follow(files, file, count, tests, show)
        finally:
            _leave_line()
        return
    events = _last_events(files, files.newest(), None, count, tests)
    if as_json:
        print_json(listing([_document(event) for event in events]))
    elif events:
        _tell_zone(zone)
        _write(events, in_words)
    else:
        nothing = phrase("No events yet in {file}.", file=settings.file)
        say(phrase("No such events.") if tests else nothing)


def _follow(
    files: LogFiles, file: FileIO | None, count: int | None, tests: list[Test], show: Show
) -> None:
    with closing(Follower(files, file)) as follower:
        if file is not None:
            _write(_catch_up(files, file, count, tests), show)
        for events in follower.events():
            _write((event for event in events if is_wanted(event, tests)), show)


def _catch_up(files: LogFiles, file: FileIO, count: int | None, tests: list[Test]) -> list[Event]:
    """Return the last events but the very last, where the file is left: it may not be whole."""
    end = size_of(file)
    if count == 0:
        file.seek(start_of_last_line(file, end))
        return []
    start = file.seek(start_of_last_event(file, end))
    if count is not None:
        last = _cut(os.pread(file.fileno(), end - start, start))
        count -= any(is_wanted(event, tests) for event in last)
    return _last_events(files, FileIO(os.dup(file.fileno())), start, count, tests)


def _cut(data: bytes) -> list[Event]:
    cutter = Cutter()
    return [*cutter.feed(data), *cutter.end()]


def _last_events(
    files: LogFiles, file: FileIO | None, end: int | None, count: int | None, tests: list[Test]
) -> list[Event]:
    """Return the last events that pass, `count` at most, oldest first; closes the file."""
    if file is None:
        return []
    with closing(events_before(files, file, size_of(file) if end is None else end)) as events:
        chosen = list(islice((event for event in events if is_wanted(event, tests)), count))
    return chosen[::-1]


def _about_sale(context: typer.Context, said: str) -> Test:
    """Return the test for a sale's records: some have its id, some its local_id, some both."""
    from bulonera_sync.sales import OPERATOR

    async def find(gateway: "Gateway") -> "FoundSale":
        return await gateway.find_sale(OPERATOR, sale_key(said))

    try:
        found = read(context, find).sale
    except (NotFoundError, StoreUnavailableError, SchemaError) as error:
        # One that was refused was never kept, and still has its records.
        why = retold(str(error))
        text = phrase("{why}; these are the records that name {said} itself", why=why, said=said)
        complain(text)
        return names_any(dict.fromkeys(("sale_id", "local_id", "sale_number"), said.strip()))
    return names_any({"sale_id": str(found.id), "local_id": found.local_id})


def _by_user(context: typer.Context, name: str) -> Test:
    """Return the test for a user's records, which have its id; raises `NotFoundError`."""

    async def find(gateway: "Gateway") -> "Account":
        return await gateway.find_account(name)

    try:
        return names_any({"user_id": str(read(context, find).id)})
    except (StoreUnavailableError, SchemaError) as error:
        why = retold(str(error))
        complain(phrase("{why}; these are the records with user_id {name}", why=why, name=name))
        return names_any({"user_id": name})


def _write(events: Iterable[Event], show: Show) -> None:
    """Print the events at once, even where nobody looks; their texts are inert already."""
    sys.stdout.writelines(f"{show(event)}\n" for event in events)
    sys.stdout.flush()


def _text(event: Event, zone: tzinfo) -> str:
    """Return an event as the text layout has it, whichever the file's is, by the shop's clock."""
    entry = event.entry
    lines = _laid_out(entry) if entry and event.is_json else event.lines
    head, *below = map(inert, lines)
    if entry:
        head = _by_clock(head, entry.time, zone)
    return "\n".join([_painted(head, entry.level) if entry else head, *below])


def _leave_line() -> None:
    # The prompt comes below what Ctrl-C is echoed on, not behind it.
    if sys.stdout.isatty():
        sys.stdout.write("\n")
        sys.stdout.flush()


def _by_clock(head: str, time: datetime, zone: tzinfo) -> str:
    return head.replace(f"{time:{TIME}}", f"{time.astimezone(zone):{TIME}}", 1)


def _tell_zone(zone: tzinfo) -> None:
    """Say whose clock it is, where somebody looks; the file itself is in UTC."""
    if sys.stdout.isatty():
        complain(phrase("Times are the shop's ({zone}).", zone=zone))


def _laid_out(entry: Entry) -> Iterator[str]:
    yield f"{entry.level} {entry.time:{TIME}} {MODULE} {entry.message}"
    yield from (f"{INDENT}{key}: {value}" for key, value in entry.context.items())
    yield from (f"{INDENT}{line}" for line in entry.traceback.split("\n") if line)


def _is_coloured() -> bool:
    environ = os.environ
    return sys.stdout.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def _painted(head: str, level: str) -> str:
    if level not in COLOURS or not _is_coloured():
        return head
    return f"\x1b[{COLOURS[level]}m{level}\x1b[0m{head.removeprefix(level)}"


def _document(event: Event) -> Mapping[str, object]:
    """Return an event with its texts as the text layout has them; a broken line has no level."""
    entry = event.entry
    return {
        "time": time_text(entry.time) if entry else None,
        "level": entry.level if entry else None,
        "message": entry.message if entry else "\n".join(event.lines),
        "context": entry.context if entry else {},
        "traceback": (entry.traceback or None) if entry else None,
    }


def _json_line(event: Event) -> str:
    text = json.dumps(_document(event), ensure_ascii=False)
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
