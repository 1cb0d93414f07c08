"""Daemons in processes of their own that a test starts, kills and starts again in 0.2 s."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.end_to_end.processes import on_store

START_SECONDS = 20.0
END_SECONDS = 15.0


class Zygote:
    """The process that every daemon is a fork of."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )

    def spawn(self, **order: object) -> int:
        """Start a command line; return its process id."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


@dataclass
class Box:
    """A daemon on a database; it keeps its port over restarts, as a shop's does.

    `seed` is the defect that `seeds` plants into it, None for the product as it is.
    """

    zygote: Zygote
    folder: Path
    store_url: str
    seed: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    pid: int = 0
    restarts: int = -1

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def out(self) -> Path:
        return self.folder / f"serve-{self.port}.out"

    async def start(self) -> None:
        """Start it and wait until it is ready; raises AssertionError with what it said."""
        self.begin()
        await self.ready()

    def begin(self) -> None:
        """Start it and wait for nothing."""
        environment = {**on_store(self.store_url), "BULONERA_SERVER__PORT": str(self.port)}
        self.out.unlink(missing_ok=True)
        self.pid = self.zygote.spawn(
            arguments=["serve"],
            environment={**environment, "BULONERA_LANG": "en", **self.environment},
            folder=str(self.folder),
            out=str(self.out),
            seed=self.seed,
        )
        self._watch = os.pidfd_open(self.pid)
        self.restarts += 1

    async def ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while "Ready at" not in (said := self.said()):
            if not self.is_alive() or time.monotonic() > deadline:
                raise AssertionError(f"serve did not become ready: {said}")
            await asyncio.sleep(0.005)

    def said(self) -> str:
        with suppress(FileNotFoundError):
            return self.out.read_text()
        return ""

    def is_alive(self) -> bool:
        try:
            signal.pidfd_send_signal(self._watch, signal.Signals.SIGCONT)
        except ProcessLookupError:
            return False
        # A fork nobody waits for is gone at once; SIGCHLD is ignored by its parent.
        return True

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._watch, signal.SIGKILL)

    def tell_to_stop(self) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._watch, signal.SIGTERM)

    async def ended(self) -> None:
        deadline = time.monotonic() + END_SECONDS
        while self.is_alive():
            assert time.monotonic() < deadline, f"serve does not end: {self.said()}"
            await asyncio.sleep(0.002)
        os.close(self._watch)
        self.pid = 0

    async def kill_and_wait(self) -> None:
        self.kill()
        await self.ended()

    async def stop(self) -> None:
        """End it in order."""
        self.tell_to_stop()
        await self.ended()
