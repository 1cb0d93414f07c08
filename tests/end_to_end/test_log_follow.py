"""`log -f` in a process of its own, while another one writes, rotates and removes the log."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bulonera_sync.config import LogSettings
from bulonera_sync.logs import open_log
from tests.end_to_end.processes import PROGRAM
from tests.end_to_end.terminals import CTRL_C, on_terminal

LINE = "INFO 2026-02-16 12:00:30 sync_views "
WAIT_SECONDS = 60

# Writes 50 MiB in records of 4 KB. Three backups of 1 MiB are soon gone: it lets the reader lag by
# two of them and no more, where a shop's daemon would take days for as much.
WRITER = """
import logging, sys, time
from pathlib import Path
from bulonera_sync.config import LogSettings
from bulonera_sync.logs import open_log

file, seen, layout = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
logger = logging.getLogger("bulonera_sync")
padding = {f"note_{n}": "x" * 480 for n in range(8)}
written = 0
with open_log(LogSettings(file=file, max_bytes=1 << 20, backups=3, format=layout)) as log:
    for number in range(int(sys.argv[4])):
        logger.info("Sale synced successfully", extra={"sale_id": number, **padding})
        written += 4000
        if number % 64 == 0:
            log.flush()
            while written - seen.stat().st_size > 2 << 20:
                time.sleep(0.01)
assert log.lost == 0
"""


@dataclass
class Following:
    """A running `log -f`, and the file that its stdout is."""

    process: subprocess.Popen[str]
    seen: Path

    def notice(self) -> str:
        """Return the line that it says on stderr before it begins."""
        assert self.process.stderr is not None
        return self.process.stderr.readline()

    def text_with(self, *words: str) -> str:
        """Return what it printed, as soon as that has all the words."""
        return self.text_when(lambda text: all(word in text for word in words))

    def text_when(self, is_enough: Callable[[str], bool]) -> str:
        end = time.monotonic() + WAIT_SECONDS
        while not is_enough(text := self.seen.read_text("utf-8")):
            assert self.process.poll() is None, "it ended"
            assert time.monotonic() < end, text[-2000:]
            time.sleep(0.05)
        return text

    def interrupt(self) -> tuple[int, str]:
        """Press Ctrl-C; return the exit code and stderr."""
        self.process.send_signal(signal.SIGINT)
        _, err = self.process.communicate(timeout=WAIT_SECONDS)
        return self.process.returncode, err


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "sync.log"


@contextmanager
def following(folder: Path, *arguments: str) -> Iterator[Following]:
    """Run `log -f` in a folder until the block ends."""
    seen = folder / "seen.txt"
    with (
        seen.open("w") as out,
        subprocess.Popen(
            [*PROGRAM, "log", "-f", *arguments],
            cwd=folder,
            env={**os.environ, "BULONERA_SYNC__TIMEZONE": "UTC"},
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        try:
            yield Following(process, seen)
        finally:
            process.kill()


def append(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    with file.open("a", encoding="utf-8") as log:
        log.write(text)


def test_ctrl_c_leaves_the_prompt_a_line_of_its_own(tmp_path: Path, file: Path) -> None:
    append(file, f"{LINE}One\n")

    with on_terminal(tmp_path, "log", "-f", BULONERA_LANG="en") as terminal:
        before = terminal.see("One")
        terminal.press(CTRL_C)
        code, after = terminal.ended()

    assert "Times are the shop's (America/Argentina/Buenos_Aires)." in before
    assert "2026-02-16 09:00:30" in before
    assert (code, after.endswith("^C\r\n"), "Traceback" in after) == (130, True, False)


@pytest.mark.parametrize(
    ("layout", "arguments"), [("text", ()), ("json", ("--json",))], ids=["text", "json"]
)
def test_following_50_mib_through_50_rotations_shows_every_event_once_in_order(
    tmp_path: Path, file: Path, layout: str, arguments: tuple[str, ...]
) -> None:
    count = 12_800
    command = [sys.executable, "-c", WRITER, str(file), str(tmp_path / "seen.txt"), layout]

    with following(tmp_path, *arguments) as follower:
        follower.notice()
        subprocess.run([*command, str(count)], check=True, timeout=WAIT_SECONDS)
        last = rf'"?sale_id"?: "?{count - 1}\b'
        text = follower.text_when(lambda text: re.search(last, text[-8_000:]) is not None)

    numbers = re.findall(r'^    sale_id: (\d+)$|"sale_id": "(\d+)"', text, re.MULTILINE)
    assert [int(a or b) for a, b in numbers] == list(range(count))
    assert file.with_name("sync.log.3").exists()
    assert not file.with_name("sync.log.4").exists()


def test_a_log_that_is_not_there_yet_is_waited_for(tmp_path: Path, file: Path) -> None:
    with following(tmp_path) as follower:
        waiting = follower.notice()
        append(file, f"{LINE}The first\n{LINE}The second\n")
        text = follower.text_with("The second")

    assert waiting == f"Waiting for {file}, which isn't there yet.\n"
    assert text == f"{LINE}The first\n{LINE}The second\n"


def test_a_log_that_is_removed_and_made_again_is_followed_on(tmp_path: Path, file: Path) -> None:
    append(file, f"{LINE}Before\n")

    with following(tmp_path) as follower:
        follower.text_with("Before")
        append(file, f"{LINE}Just before\n")
        file.unlink()
        append(file, f"{LINE}After\n")
        follower.text_with("After")
        file.unlink()
        file.parent.rmdir()
        append(file, f"{LINE}Long after\n")
        text = follower.text_with("Long after")

    assert text == "".join(
        f"{LINE}{each}\n" for each in ("Before", "Just before", "After", "Long after")
    )


def test_a_record_that_is_still_being_written_is_shown_when_it_is_whole(
    tmp_path: Path, file: Path
) -> None:
    append(file, f"{LINE}Before\n{LINE}Half a mess")

    with following(tmp_path, "--json", "--sale", "42") as follower:
        # No database here: it says that it takes the sale's id as it is.
        follower.notice()
        append(file, "age\n    user_id: 1\n    sa")
        append(file, f"le_id: 42\n{LINE}Another's\n    sale_id: 43\n")
        text = follower.text_with("Half a message")

    [event] = map(json.loads, text.splitlines())
    assert event["context"] == {"user_id": "1", "sale_id": "42"}


def test_what_runs_now_is_seen_through_the_projects_own_log(tmp_path: Path, file: Path) -> None:
    append(file, "".join(f"{LINE}Earlier {n}\n" for n in range(30)))

    with following(tmp_path, "-n", "2", "--level", "warning", "--json") as follower:
        with open_log(LogSettings(file=file)) as log:
            logger = logging.getLogger("bulonera_sync")
            logger.info("Sale synced successfully")
            logger.warning("Sync conflict detected", extra={"sale_id": 7, "note": "\x1b[2J\n"})
            assert log.flush()
        text = follower.text_with("conflict")

    [event] = map(json.loads, text.splitlines())
    assert (event["level"], event["context"]) == (
        "WARNING",
        {"sale_id": "7", "note": r"\x1b[2J\n"},
    )


def test_ctrl_c_ends_it_without_a_word(tmp_path: Path, file: Path) -> None:
    append(file, f"{LINE}Before\n")

    with following(tmp_path) as follower:
        follower.text_with("Before")
        ended = follower.interrupt()

    assert ended == (130, "")


def test_a_closed_pipe_ends_it_without_a_word(tmp_path: Path, file: Path) -> None:
    append(file, f"{LINE}Before\n")
    command = [*PROGRAM, "log", "-f"]

    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert os.read(process.stdout.fileno(), 100)
        process.stdout.close()
        append(file, f"{LINE}After\n{LINE}Long after\n")
        code = process.wait(WAIT_SECONDS)
        err = process.stderr.read()

    assert (code, err) == (1, b"")
