"""A command on a terminal of its own: a real pseudo-terminal, a person's keys, what is seen."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.end_to_end.processes import PROGRAM

WAIT_SECONDS = 60
CTRL_C, CTRL_D = "\x03", "\x04"
# ECMA-48's control sequences, which is all that a program of ours may send.
CONTROL = re.compile(r"\x1b\[[0-9;]*m")
# Ctrl-C reaches whoever has the terminal for its own.
OWN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
# What would have rich believe in another terminal than ours.
PRESETS = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM"}


@dataclass
class Terminal:
    """A running command and the person's end of its terminal; `raw` is all that it printed."""

    process: subprocess.Popen[bytes]
    descriptor: int
    raw: str = ""
    _read: bytes = b""
    _seen: int = 0

    def press(self, keys: str) -> None:
        os.write(self.descriptor, keys.encode())

    def say(self, text: str = "") -> None:
        self.press(f"{text}\n")

    def see(self, text: str) -> str:
        """Return what is new up to this text and its line's end, as soon as it is there."""
        end = time.monotonic() + WAIT_SECONDS
        while (place := self.raw.find(text, self._seen)) < 0:
            assert time.monotonic() < end, self.raw
            assert self._take(), f"it ended before {text!r}:\n{self.raw}"
        place += len(text)
        seen, self._seen = self.raw[self._seen : place], place
        return CONTROL.sub("", seen)

    def ended(self) -> tuple[int, str]:
        """Return the exit code and what was new until then."""
        while self._take():
            pass
        return self.process.wait(WAIT_SECONDS), CONTROL.sub("", self.raw[self._seen :])

    def _take(self) -> bool:
        """Read on; False once the command has let go of its terminal."""
        ready, _, _ = select.select([self.descriptor], [], [], WAIT_SECONDS)
        assert ready, self.raw
        try:
            taken = os.read(self.descriptor, 65_536)
        except OSError:
            # Linux tells so that nobody has the other end open.
            return False
        self._read += taken
        self.raw = self._read.decode("utf-8", errors="ignore")
        return bool(taken)

    @property
    def lines(self) -> list[str]:
        """Every line so far, as it is seen."""
        return CONTROL.sub("", self.raw).replace("\r", "").split("\n")


@contextmanager
def on_terminal(
    folder: Path, *arguments: str, columns: int = 80, rows: int = 40, **environment: str
) -> Iterator[Terminal]:
    """Run a command on a terminal of this size until the block ends."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in PRESETS}
    with subprocess.Popen(
        [sys.executable, "-c", OWN_TERMINAL, *PROGRAM, *arguments],
        cwd=folder,
        stdin=its,
        stdout=its,
        stderr=its,
        env={**kept, "TERM": "xterm-256color", **environment},
        start_new_session=True,
    ) as process:
        os.close(its)
        try:
            yield Terminal(process, ours)
        finally:
            process.kill()
            os.close(ours)
