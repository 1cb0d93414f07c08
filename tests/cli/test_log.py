"""`log`: which events it shows, how, and how it goes from file to file."""

import asyncio
import json
import logging
import os
import pty
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
import time_machine

from bulonera_sync.cli.log_files import BLOCK, Follower, LogFiles, events_before, size_of
from bulonera_sync.cli.main import main
from bulonera_sync.config import LogSettings, Settings
from bulonera_sync.config_values import Format
from bulonera_sync.gateway import open_gateway
from bulonera_sync.logs import open_log
from bulonera_sync.sales import OPERATOR
from tests.cli.conftest import Run
from tests.factories import CUSTOMERS, PRODUCTS, as_parsed, make_sale

NOON = "2026-02-16 12:00:30"
LINE = f"INFO {NOON} sync_views "
MISSING_SALE = "0b0e7f6e-0000-4000-8000-000000000000"


@pytest.fixture
def file(folder: Path) -> Path:
    path = folder / "logs" / "sync.log"
    path.parent.mkdir()
    return path


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shop whose clock is the file's; a test may say another."""
    monkeypatch.setenv("BULONERA_SYNC__TIMEZONE", "UTC")


def record(message: str, level: str = "INFO", time: str = NOON, **context: object) -> str:
    lines = [f"{level} {time} sync_views {message}", *(f"{k}: {v}" for k, v in context.items())]
    return "\n    ".join(lines) + "\n"


def json_record(message: str, level: str = "INFO", **context: object) -> str:
    said = {"level": level, "time": "2026-02-16T12:00:30Z", "module": "sync_views"}
    return json.dumps({**said, "message": message, "context": context}) + "\n"


def messages(run: Run, *arguments: object) -> list[str]:
    return [event["message"] for event in run("log", "--json", *arguments).json["results"]]


# Which events


def test_the_last_20_are_shown_oldest_first(run_anywhere: Run, file: Path) -> None:
    file.write_text("".join(record(f"Event {n}") for n in range(30)))

    ran = run_anywhere("log")

    assert ran.out == "".join(record(f"Event {n}") for n in range(10, 30))


def test_the_rotated_files_are_read_when_the_current_one_has_fewer(
    run_anywhere: Run, file: Path
) -> None:
    for suffix, number in [("", 4), (".1", 3), (".2", 2), (".3", 1), (".4", 0)]:
        file.with_name(file.name + suffix).write_text(record(f"Event {number}"))

    assert messages(run_anywhere, "-n", 3) == ["Event 2", "Event 3", "Event 4"]
    # As many as the settings say there are; what lies beyond is somebody else's.
    assert messages(run_anywhere, "-n", 99) == [f"Event {n}" for n in range(1, 5)]


@pytest.mark.parametrize("layout", ["text", "json"])
def test_what_the_log_writes_is_read_back(run_anywhere: Run, file: Path, layout: Format) -> None:
    logger = logging.getLogger("bulonera_sync")
    with (
        time_machine.travel("2026-02-16T12:00:30Z", tick=False),
        open_log(LogSettings(file=file, format=layout)),
    ):
        logger.info("Sale synced successfully", extra={"sale_id": 42, "note": "Ñandú: 3\n\x1b[2J"})
        try:
            int("x")
        except ValueError:
            logger.exception("Unexpected error", extra={"error_id": "ab"})

    as_json, as_text = run_anywhere("log", "--json").json, run_anywhere("log").out

    first, second = as_json["results"]
    assert (as_json["count"], list(first)) == (
        2,
        ["time", "level", "message", "context", "traceback"],
    )
    assert first == {
        "time": "2026-02-16T12:00:30Z",
        "level": "INFO",
        "message": "Sale synced successfully",
        "context": {"sale_id": "42", "note": r"Ñandú: 3\n\x1b[2J"},
        "traceback": None,
    }
    assert (second["level"], second["context"]) == ("ERROR", {"error_id": "ab"})
    assert second["traceback"].endswith("\nValueError: invalid literal for int() with base 10: 'x'")
    assert as_text.startswith(
        f"{LINE}Sale synced successfully\n    sale_id: 42\n    note: Ñandú: 3"
    )
    assert as_text.endswith("\n    ValueError: invalid literal for int() with base 10: 'x'\n")


def test_a_file_in_both_layouts_is_shown_in_one(run_anywhere: Run, file: Path) -> None:
    file.write_text(record("One", a=1) + json_record("Two", b=None) + record("Three", c=3))

    ran = run_anywhere("log")

    assert ran.out == record("One", a=1) + record("Two", b="null") + record("Three", c=3)


def test_no_log_and_an_empty_one_say_so(run_anywhere: Run, file: Path) -> None:
    missing = run_anywhere("log")
    file.touch()
    empty = run_anywhere("log")

    assert missing.out == empty.out == f"No events yet in {file}.\n"
    assert run_anywhere("log", "--json").json == {"count": 0, "results": []}


def test_what_is_no_file_ends_in_one_line(run_anywhere: Run, file: Path) -> None:
    file.mkdir()

    ran = run_anywhere("log")

    assert (ran.code, ran.error) == (
        1,
        f"Error: the log {file} can't be read: it is no regular file",
    )


# Filters


def test_a_level_means_that_level_and_above(run_anywhere: Run, file: Path) -> None:
    levels = ["DEBUG", "INFO", "Level 35", "WARNING", "ERROR", "CRITICAL"]
    file.write_text("".join(record(level, level) for level in levels))

    assert messages(run_anywhere, "--level", "warning") == levels[2:]
    assert messages(run_anywhere, "--level", "ERROR", "-n", 1) == ["CRITICAL"]
    assert run_anywhere("log", "--level", "loud").code == 2


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ("2026-02-16T11:00:00Z", ["Eleven", "Noon"]),
        ("2026-02-16T08:00-03:00", ["Eleven", "Noon"]),
        ("2026-02-16 11:30", ["Noon"]),
        ("2026-02-16", ["Ten", "Eleven", "Noon"]),
        ("90m", ["Eleven", "Noon"]),
        ("3h", ["Ten", "Eleven", "Noon"]),
        ("1d", ["Ten", "Eleven", "Noon"]),
        ("5s", []),
    ],
)
def test_since_a_time_means_all_from_then_on(
    run_anywhere: Run, file: Path, since: str, expected: list[str]
) -> None:
    hours = {"Ten": 10, "Eleven": 11, "Noon": 12}
    file.write_text(
        "".join(record(name, time=f"2026-02-16 {hour}:00:00") for name, hour in hours.items())
    )

    with time_machine.travel("2026-02-16T12:10:00Z", tick=False):
        shown = messages(run_anywhere, "--since", since)

    assert shown == expected


@pytest.mark.parametrize("make", [record, json_record])
def test_people_read_the_shops_time_and_programs_utc(
    run_anywhere: Run, file: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[str], str]
) -> None:
    monkeypatch.setenv("BULONERA_SYNC__TIMEZONE", "America/Argentina/Buenos_Aires")
    file.write_text(make("Noon"))

    assert run_anywhere("log").out == record("Noon", time="2026-02-16 09:00:30")
    assert run_anywhere("log", "--json").json["results"][0]["time"] == "2026-02-16T12:00:30Z"
    assert messages(run_anywhere, "--since", "2026-02-16 09:00:30") == ["Noon"]
    assert messages(run_anywhere, "--since", "2026-02-16 09:00:31") == []


def test_since_shows_more_than_20_unless_told(run_anywhere: Run, file: Path) -> None:
    file.write_text("".join(record(f"Event {n}") for n in range(30)))

    assert len(messages(run_anywhere, "--since", "2026-02-16")) == 30
    assert messages(run_anywhere, "--since", "2026-02-16", "-n", 1) == ["Event 29"]


@pytest.mark.parametrize("since", ["", "soon", "2x", "999999999d", "0001-01-01T00:00+14:00"])
def test_a_time_that_is_none_is_wrong_usage(run_anywhere: Run, file: Path, since: str) -> None:
    ran = run_anywhere("log", "--since", since)

    assert (ran.code, "--since" in ran.error) == (2, True)


def stored_sale(settings: Settings) -> tuple[int, str, str, int]:
    """Upload a sale as ana; return its id, number and local_id, and ana's id."""
    sent = make_sale()

    async def store() -> tuple[int, str, str, int]:
        async with open_gateway(settings) as gateway:
            await gateway.import_rows("customers", CUSTOMERS)
            await gateway.import_rows("products", PRODUCTS)
            ana, _ = await gateway.add_user("ana", "cashier")
            await gateway.upload(ana, as_parsed(sent))
            found = await gateway.find_sale(OPERATOR, sent["local_id"])
            return found.sale.id, found.sale.number, found.sale.local_id, ana.id

    return asyncio.run(store())


def test_a_sale_is_found_by_whatever_names_it(run: Run, settings: Settings, file: Path) -> None:
    sale_id, number, local_id, _ = stored_sale(settings)
    file.write_text(
        record("Refused", local_id=local_id)
        + record("Another", sale_id=sale_id + 1, local_id=MISSING_SALE)
        + record("Queued", sale_id=sale_id)
        + json_record("Synced", sale_id=sale_id, local_id=local_id)
    )

    for name in (sale_id, number.lower(), local_id.upper()):
        assert messages(run, "--sale", name) == ["Refused", "Queued", "Synced"]


def test_a_sale_that_was_never_kept_is_found_as_it_is_named(run: Run, file: Path) -> None:
    file.write_text(record("Refused", local_id=MISSING_SALE) + record("Another", local_id="x"))

    ran = run("log", "--json", "--sale", MISSING_SALE)

    assert [event["message"] for event in ran.json["results"]] == ["Refused"]
    assert f"these are the records that name {MISSING_SALE} itself" in ran.err


def test_a_user_is_found_by_name(run: Run, settings: Settings, file: Path) -> None:
    *_, user_id = stored_sale(settings)
    file.write_text(record("Ana's", user_id=user_id) + record("Marta's", user_id=user_id + 1))

    assert messages(run, "--user", "ana") == ["Ana's"]
    unknown = run("log", "--user", "nobody")
    assert (unknown.code, "no user nobody" in unknown.error) == (1, True)


@pytest.mark.parametrize(("option", "key"), [("--sale", "sale_id"), ("--user", "user_id")])
def test_without_a_database_the_words_themselves_are_looked_for(
    run_anywhere: Run, file: Path, option: str, key: str
) -> None:
    file.write_text(f"{LINE}It\n    {key}: 42\n{LINE}Another\n    {key}: 43\n")

    ran = run_anywhere("log", "--json", option, "42")

    assert [event["message"] for event in ran.json["results"]] == ["It"]
    assert "neither a config.toml nor a database here" in ran.err
    assert not (file.parent.parent / "bulonera-sync.db").exists()


def test_filters_count_together(run_anywhere: Run, file: Path) -> None:
    file.write_text(
        record("One", "ERROR", sale_id=1) + record("Two", sale_id=1) + record("Three", "ERROR")
    )

    shown = messages(run_anywhere, "--level", "error", "--sale", 1)

    assert shown == ["One"]


# What is no record, and what would do harm

BROKEN = [
    "    half a context: 1",
    "half a rec",
    "{",
    '{"level": "INFO", "time": "2026-02-16T12:00:30Z", "message": 5, "context": {}}',
    '{"level": "INFO", "time": "yesterday", "message": "x", "context": {}}',
    "INFO 2026-13-45 99:99:99 sync_views A 13th month",
    '{"a":' * 3_000,
    "x" * (3 * BLOCK),
]


@pytest.mark.parametrize("line", BROKEN, ids=lambda line: line[:30])
def test_a_broken_line_is_shown_as_it_is(run_anywhere: Run, file: Path, line: str) -> None:
    file.write_text(f"{line}\n{json_record('Whole')}")

    as_text, as_json = run_anywhere("log"), run_anywhere("log", "--json")

    assert as_text.out == f"{line}\n{record('Whole')}"
    assert as_json.json["results"][0] == {
        "time": None,
        "level": None,
        "message": line,
        "context": {},
        "traceback": None,
    }
    # It has no level and names no sale.
    assert messages(run_anywhere, "--level", "debug") == ["Whole"]


def test_lines_that_follow_a_json_record_are_not_lost(run_anywhere: Run, file: Path) -> None:
    file.write_text(json_record("Whole") + "    one\n\n    two\n")

    assert run_anywhere("log").out == record("Whole") + "    one\n    two\n"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
        (b"\xc2\x9b2J", r"\x9b2J"),
        ("\u202egnp.exe".encode(), r"\u202egnp.exe"),
        (b"\r\x7f\x00", r"\r\x7f\x00"),
        (b"\xff\xfe", r"\xff\xfe"),
        ("[red]José[/red]".encode(), "[red]José[/red]"),
    ],
)
def test_nothing_a_terminal_could_obey_is_printed(
    run_anywhere: Run, file: Path, raw: bytes, shown: str
) -> None:
    file.write_bytes(LINE.encode() + raw + b"\n    note: " + raw + b"\n" + raw + b"\n")

    as_text, as_json = run_anywhere("log"), run_anywhere("log", "--json")

    assert as_text.out == f"{LINE}{shown}\n    note: {shown}\n{shown}\n"
    assert as_json.out.replace("\n", "").isprintable()
    assert as_json.json["results"][1]["message"] == raw.decode("utf-8", "backslashreplace")


def test_hostile_json_is_inert_too(run_anywhere: Run, file: Path) -> None:
    file.write_text(json_record("\x1b[2J", "ERROR\n", **{"k\u202e": "\ud800"}))

    as_text = run_anywhere("log")

    assert as_text.out == (
        rf"ERROR\n {NOON} sync_views \x1b[2J" + "\n" + r"    k\u202e: \ud800" + "\n"
    )


# Colours


def on_a_terminal(*arguments: str) -> str:
    """Run a command whose stdout is a terminal; return what that was sent."""
    ours, theirs = pty.openpty()
    with (
        os.fdopen(theirs, "w", encoding="utf-8") as terminal,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sys, "stdout", terminal)
        assert main(arguments) == 0
    sent = b""
    # The kernel hands a terminal's text over in pieces, and says EIO behind the last.
    with suppress(OSError):
        while piece := os.read(ours, 65_536):
            sent += piece
    os.close(ours)
    return sent.decode().replace("\r\n", "\n")


def test_a_terminal_gets_the_level_in_colour(folder: Path, file: Path) -> None:
    file.write_text(record("Bad", "ERROR", note="x") + "broken\n")

    sent = on_a_terminal("log")

    assert sent == f"\x1b[31mERROR\x1b[0m {NOON} sync_views Bad\n    note: x\nbroken\n"


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_that_wants_no_colour_gets_none(
    folder: Path, file: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    file.write_text(record("Bad", "ERROR"))
    monkeypatch.setenv(variable, value)

    assert on_a_terminal("log") == record("Bad", "ERROR")


# Following


def rotate(file: Path, backups: int = 3) -> None:
    for number in reversed(range(backups)):
        older = file.with_name(f"{file.name}.{number}") if number else file
        if older.exists():
            older.replace(file.with_name(f"{file.name}.{number + 1}"))


def write(file: Path, text: str) -> None:
    with file.open("a", encoding="utf-8") as log:
        log.write(text)


Come = Callable[[], list[str]]
Follow = Callable[..., Come]


@pytest.fixture
def follow(file: Path) -> Iterator[Follow]:
    """Follow the file from its beginning, without waiting; each call returns the new lines."""
    opened: list[Follower] = []

    def begin(quiet: float = 0) -> Come:
        files = LogFiles(file, 3)
        follower = Follower(files, files.newest(), poll=0, quiet=quiet)
        opened.append(follower)
        looks = follower.events()
        return lambda: ["\n".join(e.lines) for _ in range(12) for e in next(looks)]

    yield begin
    for follower in opened:
        follower.close()


def test_what_lies_in_several_rotated_files_is_read_in_order(file: Path, follow: Follow) -> None:
    write(file, "1\n")
    come = follow()
    before = come()

    for number in (2, 3, 4):
        write(file, f"{number}a\n{number}b\n")
        rotate(file)
    write(file, "5\n")

    assert (before, come()) == (["1"], ["2a", "2b", "3a", "3b", "4a", "4b", "5"])


def test_a_log_that_rotated_before_it_was_first_seen_is_read_from_its_oldest_file(
    file: Path, follow: Follow
) -> None:
    come = follow()
    come()

    for number in (1, 2, 3):
        write(file, f"{number}\n")
        rotate(file)
    write(file, "4\n")

    assert come() == ["1", "2", "3", "4"]


def test_a_rotation_before_the_next_file_is_made_loses_nothing(file: Path, follow: Follow) -> None:
    write(file, "1\n")
    come = follow()

    rotate(file)
    meanwhile = come()
    write(file, "2\n")

    assert (meanwhile, come()) == (["1"], ["2"])


def test_a_file_that_was_rotated_away_is_followed_by_the_oldest_there_is(
    file: Path, follow: Follow, capsys: pytest.CaptureFixture[str]
) -> None:
    write(file, "0\n")
    come = follow()
    come()
    os.utime(file, ns=(0, 0))
    for number in range(1, 6):
        rotate(file)
        write(file, f"{number}\n")

    # 1 is lost with the file it stood in: the log has three backups.
    assert come() == ["2", "3", "4", "5"]
    assert "events may be missing here" in capsys.readouterr().err


def test_a_removed_file_is_read_to_its_end_and_the_older_ones_are_not_read_again(
    file: Path, follow: Follow, capsys: pytest.CaptureFixture[str]
) -> None:
    write(file, "old\n")
    os.utime(file, ns=(0, 0))
    rotate(file)
    write(file, "1\n")
    come = follow()
    come()

    write(file, "2\n")
    file.unlink()
    meanwhile = come()
    write(file, "3\n")

    assert (meanwhile, come()) == (["2"], ["3"])
    assert capsys.readouterr().err == ""


def test_a_file_emptied_in_place_is_read_from_its_beginning(file: Path, follow: Follow) -> None:
    write(file, "1\n2\n3\n")
    come = follow()
    before = come()

    file.write_text("4\n")

    assert (before, come()) == (["1", "2", "3"], ["4"])


def test_a_record_waits_for_its_lines_and_a_line_for_its_end(file: Path, follow: Follow) -> None:
    come = follow(quiet=60)
    write(file, f"{LINE}One\n    a: 1\n")
    meanwhile = come()
    write(file, f"    b: 2\n{LINE}Tw")
    then = come()
    write(file, "o\n{}\n")

    assert (meanwhile, then) == ([], [])
    assert come() == [f"{LINE}One\n    a: 1\n    b: 2", f"{LINE}Two", "{}"]


def test_a_record_that_nothing_follows_is_shown_after_a_while(file: Path, follow: Follow) -> None:
    come = follow(quiet=0)
    write(file, f"{LINE}One\n    a: 1\n{LINE}Hal")

    assert come() == [f"{LINE}One\n    a: 1"]


def test_half_a_record_at_the_end_of_a_rotated_file_is_not_lost(file: Path, follow: Follow) -> None:
    come = follow(quiet=60)
    write(file, f"{LINE}Hal")
    come()
    rotate(file)
    write(file, "{}\n")

    assert come() == [f"{LINE}Hal", "{}"]


def test_the_last_event_of_much_is_found_without_reading_the_rest(file: Path) -> None:
    with file.open("wb") as log:
        # A hole, which reads as 1 GiB of nothing.
        log.truncate(2**30)
        log.seek(0, os.SEEK_END)
        log.write(f"\n{record('The last')}".encode())
    files = LogFiles(file, 3)
    newest = files.newest()
    assert newest is not None

    with closing(events_before(files, newest, size_of(newest))) as events:
        last = next(events)

    assert last.lines == (f"{LINE}The last",)
