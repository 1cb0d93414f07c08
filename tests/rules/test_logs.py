"""The sync log: its lines, which nobody can forge, and its file, for which nobody waits."""

import json
import logging
import os
import resource
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine
from hypothesis import assume, given
from hypothesis import strategies as st

from bulonera_sync import logs
from bulonera_sync.config import LogSettings
from bulonera_sync.log_lines import (
    LOGGER,
    MAX_TRACEBACK,
    Entry,
    lay_out_json,
    lay_out_text,
    read_entries,
)
from bulonera_sync.logs import MAX_QUEUED, Log, open_log

FORGED = "ERROR 2026-02-16 12:01:15 sync_views forged"
NOON = time_machine.travel("2026-02-16T12:00:30.7Z", tick=False)

logger = logging.getLogger(f"{LOGGER}.gateway")

OpenLog = Callable[..., Log]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "sync.log"


@pytest.fixture
def open_here(file: Path) -> Iterator[OpenLog]:
    """Open a log on `file`, with other settings as given; it is closed at the end."""
    opened: list[Log] = []

    def open_with(**settings: Any) -> Log:
        opened.append(open_log(LogSettings(file=file, **settings)))
        return opened[-1]

    yield open_with
    for log in reversed(opened):
        log.close()


@pytest.fixture
def log(open_here: OpenLog) -> Log:
    return open_here()


def make_record(
    message: str = "Sale synced successfully",
    error: BaseException | None = None,
    name: str = LOGGER,
    **context: object,
) -> logging.LogRecord:
    failure = (type(error), error, error.__traceback__) if error else None
    return logging.getLogger(name).makeRecord(
        name, logging.ERROR, __file__, 1, message, (), failure, extra=context
    )


def entries_in(file: Path) -> list[Entry]:
    return list(read_entries(file.read_text("utf-8")))


def messages_in(file: Path) -> list[str]:
    return [entry.message for entry in entries_in(file)]


# The lines


def test_the_guides_examples_are_written_as_the_guide_shows_them(log: Log, file: Path) -> None:
    with time_machine.travel("2026-02-16T12:00:30Z", tick=False):
        logger.info(
            "Sale synced successfully",
            extra={
                "user_id": 5,
                "local_id": "550e8400-e29b-41d4-a716-446655440000",
                "sale_id": 42,
                "customer_id": 3,
                "items_count": 2,
            },
        )
    with time_machine.travel("2026-02-16T12:02:00Z", tick=False):
        logger.warning(
            "Sync validation failed: missing customer_id",
            extra={"user_id": 5, "local_id": "550e8400-e29b-41d4-a716-446655440000"},
        )

    assert log.flush()
    assert file.read_text() == (
        "INFO 2026-02-16 12:00:30 sync_views Sale synced successfully\n"
        "    user_id: 5\n"
        "    local_id: 550e8400-e29b-41d4-a716-446655440000\n"
        "    sale_id: 42\n"
        "    customer_id: 3\n"
        "    items_count: 2\n"
        "WARNING 2026-02-16 12:02:00 sync_views Sync validation failed: missing customer_id\n"
        "    user_id: 5\n"
        "    local_id: 550e8400-e29b-41d4-a716-446655440000\n"
    )


@time_machine.travel("2026-02-16T12:01:15Z", tick=False)
def test_the_traceback_follows_the_context(log: Log, file: Path) -> None:
    try:
        raise LookupError("Product 999 no existe")
    except LookupError:
        logger.error(  # noqa: G201 (the guide's own form)
            "Sync upload: Item validation error",
            exc_info=True,
            extra={
                "user_id": 5,
                "local_id": "550e8400-e29b-41d4-a716-446655440000",
                "item_index": 1,
                "product_id": 999,
                "error": "Producto con id=999 no existe",
            },
        )

    assert log.flush()
    lines = file.read_text().splitlines()
    assert lines[:7] == [
        "ERROR 2026-02-16 12:01:15 sync_views Sync upload: Item validation error",
        "    user_id: 5",
        "    local_id: 550e8400-e29b-41d4-a716-446655440000",
        "    item_index: 1",
        "    product_id: 999",
        "    error: Producto con id=999 no existe",
        "    Traceback (most recent call last):",
    ]
    assert lines[-1] == "    LookupError: Product 999 no existe"


@NOON
def test_json_is_one_object_a_line(open_here: OpenLog, file: Path) -> None:
    log = open_here(format="json")

    logger.info("Sale queued for retry", extra={"user_id": 5, "sale_id": None, "note": "a\nñ"})
    logger.error("Sync upload: Item validation error", exc_info=ValueError("boom"))

    assert log.flush()
    first, second = map(json.loads, file.read_text().splitlines())
    assert first == {
        "level": "INFO",
        "time": "2026-02-16T12:00:30Z",
        "module": "sync_views",
        "message": "Sale queued for retry",
        "context": {"user_id": 5, "sale_id": None, "note": "a\\nñ"},
    }
    assert second["traceback"] == "Traceback (most recent call last):\nValueError: boom"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (True, "true"),
        ("", ""),
        (1.5, "1.5"),
        (datetime(2026, 2, 16, tzinfo=UTC), "2026-02-16 00:00:00+00:00"),
        ([5, None, "ñ"], '[5, null, "ñ"]'),
        ({"id": Path("x")}, '{"id": "x"}'),
        ({(1, 2): 3}, "{(1, 2): 3}"),
        ("a: b", "a: b"),
        ("x" * 600, "x" * 499 + "…"),
    ],
)
def test_values_are_shown_on_one_line(value: object, shown: str) -> None:
    text = lay_out_text(make_record(value=value))

    assert text.split("\n")[1:] == [f"    value: {shown}"]


def test_numbers_stay_numbers_in_json_unless_json_has_no_such_number() -> None:
    entry = json.loads(lay_out_json(make_record(count=5, share=0.5, odd=float("nan"), on=True)))

    assert entry["context"] == {"count": 5, "share": 0.5, "odd": "nan", "on": True}


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        (f"a\n{FORGED}", rf"a\n{FORGED}"),
        (f"a\r{FORGED}", rf"a\r{FORGED}"),
        (f"a\r\n    user_id: 1\n{FORGED}", rf"a\r\n    user_id: 1\n{FORGED}"),
        ("\x1b[2K\x1b]0;x\x07", r"\x1b[2K\x1b]0;x\x07"),
        ("a\x85b\x9bc", r"a\x85b\x9bc"),
        ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
        ("a\u202eb\u2066c", r"a\u202eb\u2066c"),
        ("a\0b\x7fc\td", r"a\x00b\x7fc\td"),
        ("a\ud800b\udfff", r"a\ud800b\udfff"),
    ],
)
def test_no_text_can_forge_a_record(hostile: str, shown: str) -> None:
    text = lay_out_text(make_record(hostile, ValueError(hostile), **{hostile: hostile}))

    first, context, *trace = text.split("\n")
    assert first.endswith(f" sync_views {shown}")
    assert context == f"    {shown.replace(':', chr(92) + 'x3a')}: {shown}"
    assert trace[0] == "    Traceback (most recent call last):"
    assert all(line.startswith("    ") for line in trace)
    assert text.replace("\n", "").isprintable()
    assert [entry.traceback for entry in read_entries(f"{text}\n{FORGED}x")][1:] == [""]


def test_tokens_are_never_written() -> None:
    token = "q7Jx_2pL-9sKd0ZtVb3n"
    error = ValueError(f"bad header b'Authorization: Token {token}'")

    text = lay_out_text(make_record(f"Refused bearer {token}", error, header=f"Token  {token}"))

    assert token not in text
    assert text.count("[hidden]") == 3


def test_an_exception_that_was_never_raised_has_a_head_too() -> None:
    text = lay_out_text(make_record(error=ValueError("x: y")))

    assert text.split("\n")[1:] == [
        "    Traceback (most recent call last):",
        "    ValueError: x: y",
    ]


def test_a_long_traceback_keeps_its_beginning_and_its_end() -> None:
    error = ValueError("\n".join(f"line {n}" for n in range(50_000)))

    text = lay_out_text(make_record(error=error))

    assert len(text) < MAX_TRACEBACK * 2
    assert "ValueError: line 0\n" in text
    assert text.endswith("line 49999")


def test_an_error_outside_an_except_block_has_no_traceback() -> None:
    record = make_record()
    record.exc_info = (None, None, None)

    assert "\n" not in lay_out_text(record)


def test_both_layouts_read_back_alike() -> None:
    try:
        raise ExceptionGroup("two", [ValueError("a\x1b"), KeyError("b")])
    except ExceptionGroup as error:
        record = make_record("Sale\nsynced", error, user_id=5, local_id=None, note="a: \n b")

    (from_text,) = read_entries(lay_out_text(record) + "\n")
    (from_json,) = read_entries(lay_out_json(record) + "\n")

    assert from_text == from_json
    assert from_text.context == {"user_id": "5", "local_id": "null", "note": r"a: \n b"}
    assert from_text.traceback.endswith("+------------------------------------")


def test_what_belongs_to_no_record_is_passed_over() -> None:
    whole = lay_out_text(make_record())
    pieces = [
        "    user_id: 5",
        "half a li",
        "",
        whole,
        '{"level": "INFO"',
        '{"context": []}',
        whole,
    ]

    entries = list(read_entries("\n".join(pieces)))

    assert [entry.message for entry in entries] == ["Sale synced successfully"] * 2


any_text = st.text(st.characters(exclude_categories=()), max_size=40)
any_value = st.one_of(
    any_text,
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.lists(any_text, max_size=3),
    st.dictionaries(any_text, any_text, max_size=3),
)
reserved = vars(logging.makeLogRecord({})).keys() | {"message", "asctime"}
# Short enough that no key is shortened, however it is escaped.
any_key = st.text(st.characters(exclude_categories=()), max_size=9).filter(
    lambda key: key not in reserved
)
any_context = st.dictionaries(any_key, any_value, max_size=5)


def escaped_key(key: str) -> str:
    escapes = {ord(c): repr(c)[1:-1] for c in key if not c.isprintable()}
    return key.translate(escapes | {ord(":"): r"\x3a"})


@given(message=any_text, context=any_context, failure=st.none() | any_text)
def test_any_text_and_any_context_give_exactly_one_record(
    message: str, context: Mapping[str, object], failure: str | None
) -> None:
    keys = list(map(escaped_key, context))
    assume(len(set(keys)) == len(keys))
    record = make_record(message, None if failure is None else ValueError(failure))
    vars(record).update(context)
    before = after = lay_out_text(make_record("Sale synced successfully", user_id=5))

    for lay_out in (lay_out_text, lay_out_json):
        text = lay_out(record)

        assert text.encode().decode() == text
        assert text.replace("\n", "").isprintable()
        entries = list(read_entries(f"{before}\n{text}\n{after}\n"))
        assert len(entries) == 3
        assert list(entries[1].context) == keys
        assert entries[1].traceback.startswith("Traceback") == (failure is not None)


# What is taken


def test_only_the_level_and_up_is_written(open_here: OpenLog, file: Path) -> None:
    log = open_here(level="WARNING")

    logger.info("too little")
    logger.warning("enough")

    assert log.flush()
    assert messages_in(file) == ["enough"]


def test_warnings_of_libraries_are_written_here_and_not_on_the_terminal(
    log: Log, file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger("apscheduler.scheduler").info("Added job")
    logging.getLogger("aiohttp.server").warning("Error handling request from %s", "10.0.0.7")

    assert log.flush()
    assert [(entry.message, entry.context) for entry in entries_in(file)] == [
        ("Error handling request from 10.0.0.7", {"logger": "aiohttp.server"})
    ]
    assert capfd.readouterr() == ("", "")


def test_closing_leaves_logging_as_it_was_found(open_here: OpenLog) -> None:
    root, ours = logging.getLogger(), logging.getLogger(LOGGER)
    found = (list(root.handlers), root.level, ours.level, ours.handlers, threading.active_count())

    log = open_here(level="DEBUG")
    log.close()
    log.close()

    left = (list(root.handlers), root.level, ours.level, ours.handlers, threading.active_count())
    assert left == found


def test_of_two_open_logs_each_takes_its_own_level(open_here: OpenLog, tmp_path: Path) -> None:
    strict = LogSettings(file=tmp_path / "strict.log", level="ERROR")
    detailed = open_here(level="INFO")

    with open_log(strict):
        logger.info("one")
        logger.error("two")

    assert detailed.flush()
    assert messages_in(tmp_path / "logs/sync.log") == ["one", "two"]
    assert messages_in(tmp_path / "strict.log") == ["two"]


def test_whoever_flushes_or_closes_waits_for_no_other_records(
    open_here: OpenLog, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "GATHER_SECONDS", 60.0)
    log = open_here()

    logger.info("one")
    is_flushed = log.flush()
    flushed = messages_in(file)
    logger.info("two")
    log.close(within=30)

    assert is_flushed
    assert flushed == ["one"]
    assert messages_in(file) == ["one", "two"]
    assert log.lost == 0


def test_nothing_is_made_before_the_first_record(log: Log, file: Path) -> None:
    assert log.flush()
    assert not file.parent.exists()


def test_the_file_is_its_owners_alone(open_here: OpenLog, file: Path) -> None:
    log = open_here(max_bytes=1024)

    for _ in range(60):
        logger.info("a record that fills a good part of the file")
    assert log.flush()

    assert {stat.S_IMODE(each.stat().st_mode) for each in file.parent.iterdir()} == {0o600}


def test_a_value_changed_after_logging_is_written_as_it_was(log: Log, file: Path) -> None:
    ids = [1, 2]

    logger.info("Sale queued for retry", extra={"sale_ids": ids})
    ids.append(3)

    assert log.flush()
    assert entries_in(file)[0].context == {"sale_ids": "[1, 2]"}


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_a_record_that_can_not_be_laid_out_is_lost_and_told(log: Log, file: Path) -> None:
    logger.info("Sale synced successfully", extra={"sale": Unprintable()})
    logger.info("Sale synced successfully")

    assert log.flush()
    assert log.lost == 1
    assert messages_in(file) == ["1 log records lost", "Sale synced successfully"]


# The file


def test_the_file_rotates_and_keeps_so_many_backups(open_here: OpenLog, file: Path) -> None:
    log = open_here(max_bytes=1024, backups=3)

    for n in range(200):
        logger.info("Sale synced successfully", extra={"n": n, "note": "ñ" * 20})

    assert log.flush()
    files = [file.with_name(f"sync.log{end}") for end in (".3", ".2", ".1", "")]
    assert sorted(file.parent.iterdir()) == sorted(files)
    assert all(0 < each.stat().st_size <= 1024 for each in files)
    kept = [int(entry.context["n"]) for each in files for entry in entries_in(each)]
    assert kept == list(range(kept[0], 200))


def test_a_record_beyond_the_limit_is_written_whole(open_here: OpenLog, file: Path) -> None:
    log = open_here(max_bytes=1024)

    for _ in range(2):
        logger.info("Sale synced successfully", extra={str(n): "x" * 400 for n in range(5)})

    assert log.flush()
    assert [len(entries_in(each)) for each in sorted(file.parent.iterdir())] == [1, 1]


def test_a_log_that_can_not_be_rotated_grows(open_here: OpenLog, file: Path) -> None:
    log = open_here(max_bytes=1024, backups=1)
    (file.parent / "sync.log.1" / "in the way").mkdir(parents=True)

    for n in range(50):
        logger.info("Sale synced successfully", extra={"n": n})

    assert log.flush()
    assert (log.lost, len(entries_in(file))) == (0, 50)


def test_a_file_or_folder_that_is_removed_is_made_anew(log: Log, file: Path) -> None:
    logger.info("one")
    assert log.flush()
    shutil.rmtree(file.parent)
    logger.info("two")
    assert log.flush()
    file.rename(file.with_name("taken.log"))
    logger.info("three")

    assert log.flush()
    assert messages_in(file) == ["three"]
    assert messages_in(file.with_name("taken.log")) == ["two"]
    assert log.lost == 0


def test_records_lost_to_a_missing_folder_are_counted_and_told(log: Log, file: Path) -> None:
    logger.info("one")
    assert log.flush()
    shutil.rmtree(file.parent)
    file.parent.write_text("no folder")

    for _ in range(3):
        logger.info("lost")
    assert log.flush()
    assert (log.lost, log.problem is None) == (3, False)
    file.parent.unlink()
    logger.info("two")

    assert log.flush()
    assert messages_in(file) == ["3 log records lost", "two"]
    assert (log.lost, log.problem) == (3, None)


def test_records_lost_to_a_full_disk_are_counted_and_told(log: Log, file: Path) -> None:
    file.parent.mkdir()
    file.symlink_to("/dev/full")

    logger.info("lost")
    assert log.flush()
    assert log.problem == "[Errno 28] No space left on device"
    file.unlink()

    log.close()
    assert messages_in(file) == ["1 log records lost"]


@pytest.fixture
def limited_file_size() -> Iterator[int]:
    """Let no file of this process grow beyond so many bytes, as a full disk would."""
    size = 256 * 1024
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    yield size
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_half_a_record_is_not_left_behind(log: Log, file: Path, limited_file_size: int) -> None:
    file.parent.mkdir()
    full = ("x" * 99 + "\n") * (limited_file_size // 100)
    file.write_text(full)

    logger.info("Sale synced successfully", extra={"note": "does not fit"})

    assert log.flush()
    assert (log.lost, log.problem) == (1, "[Errno 27] File too large")
    assert file.read_text() == full


def test_of_records_written_at_once_as_many_are_kept_as_have_room(
    log: Log, file: Path, limited_file_size: int
) -> None:
    file.parent.mkdir()
    room = 2 * len(lay_out_text(make_record(message="Sale synced"))) + 10
    file.write_text("x" * (limited_file_size - room - 1) + "\n")
    together = threading.Event()
    log._queue.records.put_nowait(together.wait)

    for _ in range(5):
        logger.info("Sale synced")
    together.set()

    assert log.flush()
    assert messages_in(file) == ["Sale synced", "Sale synced"]
    assert log.lost == 3


def test_half_a_record_of_a_power_cut_takes_no_other_with_it(log: Log, file: Path) -> None:
    file.parent.mkdir()
    file.write_text("INFO 2026-02-16 12:00:30 sync_vi")

    logger.info("Sale synced successfully")

    assert log.flush()
    assert [(entry.level, entry.message) for entry in entries_in(file)] == [
        ("INFO", "Sale synced successfully")
    ]


@pytest.fixture
def dead_file(file: Path) -> Iterator[Path]:
    """Put a pipe that nobody reads in the file's place: opening it waits for ever."""
    file.parent.mkdir()
    os.mkfifo(file)
    yield file
    # Whoever still waits for a reader finds one, and an end.
    reader = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    while any(thread.name.endswith("(_monitor)") for thread in threading.enumerate()):
        drain(reader)
    os.close(reader)


def drain(reader: int) -> str:
    try:
        return os.read(reader, 1 << 20).decode()
    except BlockingIOError:
        return ""


def test_nobody_waits_for_a_full_queue(open_here: OpenLog, dead_file: Path) -> None:
    log = open_here()
    logged = MAX_QUEUED + 1000

    for _ in range(logged):
        logger.info("Sale synced successfully")
    lost = log.lost
    reader = os.open(dead_file, os.O_RDONLY | os.O_NONBLOCK)
    closing = threading.Thread(target=log.close)
    closing.start()
    read = ""
    while closing.is_alive():
        read += drain(reader)
    read += drain(reader)
    os.close(reader)

    messages = [entry.message for entry in read_entries(read)]
    # What the writer had in hand when it got stuck found room besides.
    assert 500 <= lost <= 1000
    assert messages.count("Sale synced successfully") == logged - lost
    assert f"{lost} log records lost" in messages


def test_closing_does_not_wait_for_a_dead_disk(open_here: OpenLog, dead_file: Path) -> None:
    log = open_here()
    for _ in range(5):
        logger.info("Sale synced successfully")
    begun = time.monotonic()

    log.close(within=0.1)

    assert time.monotonic() - begun < 5
    assert (log.lost, log.flush(within=0)) == (5, False)


WRITE_MANY = """
import logging, sys
from pathlib import Path
from bulonera_sync.config import LogSettings
from bulonera_sync.logs import open_log

with open_log(LogSettings(file=Path(sys.argv[1]), max_bytes=2048, backups=1000)) as log:
    for n in range(300):
        logging.getLogger("bulonera_sync").info("Sale", extra={"of": sys.argv[2], "n": n})
        log.flush()
"""


def test_processes_share_one_file_and_lose_nothing_as_it_rotates(file: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE_MANY, str(file), name]) for name in "abc"
    ]
    assert [writer.wait() for writer in writers] == [0, 0, 0]

    files = list(file.parent.iterdir())
    written = [(e.context["of"], int(e.context["n"])) for each in files for e in entries_in(each)]
    assert sorted(written) == [(name, n) for name in "abc" for n in range(300)]
    # Each was filled up before it was put aside, by whoever came to it first.
    sizes = [each.stat().st_size for each in files if each != file]
    assert len(sizes) > 10
    assert 1900 < min(sizes) <= max(sizes) <= 2048
