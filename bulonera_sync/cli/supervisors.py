"""What runs the daemon as a service is told how it does: systemd's sd_notify protocol.

Without it (`$NOTIFY_SOCKET` is unset) nobody is told, and nothing else changes.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

Beat = Callable[[], Awaitable[None]]

_MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Supervisor:
    """Who is told, and how often it wants to hear that all is well."""

    address: str | None = None
    watchdog_seconds: float | None = None

    @classmethod
    def of(cls, environ: Mapping[str, str] = os.environ) -> "Supervisor":
        """Return the supervisor that this process's environment names."""
        address = environ.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):
            return cls()
        return cls(address, _watchdog_seconds(environ))

    def tell(self, *facts: str) -> None:
        """Tell it; one that is gone must not stop the daemon."""
        if self.address is None:
            return
        # An abstract address begins with a NUL, which the environment can't hold.
        address = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as opened:
            opened.setblocking(False)
            opened.sendto("\n".join(facts).encode(), address)

    @asynccontextmanager
    async def watching(self, beat: Beat, status: str) -> AsyncIterator[None]:
        """Tell that the daemon is ready, then that it lives, until the block ends.

        Each sign of life follows a `beat`: where that hangs, none is sent, and a watchdog acts.
        """
        self.tell("READY=1", f"STATUS={status}")
        task = asyncio.create_task(self._beat(beat), name="watchdog")
        try:
            yield
        finally:
            task.cancel()
            self.tell("STOPPING=1")

    async def _beat(self, beat: Beat) -> None:
        while self.watchdog_seconds is not None:
            await beat()
            self.tell("WATCHDOG=1")
            # With a third of it gone, a turn that waits for a locked file, twice as long as a
            # request would, still ends in time.
            await asyncio.sleep(self.watchdog_seconds / 3)


def _watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    said = environ.get("WATCHDOG_USEC", "")
    # It may be meant for another process that passed its environment on.
    is_mine = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    if not (is_mine and said.isascii() and said.isdigit() and int(said)):
        return None
    return int(said) / _MICRO
