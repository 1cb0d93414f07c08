"""As a service: whoever supervises the daemon is told when it is ready, alive and stopping."""

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulonera_sync.cli.supervisors import Supervisor
from bulonera_sync.errors import StoreUnavailableError
from bulonera_sync.gateway import Gateway
from bulonera_sync.sales import OPERATOR
from bulonera_sync.store import writers
from bulonera_sync.store.sessions import Session
from tests.end_to_end.processes import DaemonProcess, serving_process
from tests.store.databases import ON_SQLITE, locked

pytestmark = ON_SQLITE

# A sign of life every 0.1 s.
WATCHDOG = {"WATCHDOG_USEC": "200000"}
WITHIN_SECONDS = 10


class Listener:
    """The socket that systemd would listen on."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self._socket.setblocking(False)

    async def heard(self) -> str:
        """Return the next message."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(WITHIN_SECONDS):
            return (await loop.sock_recv(self._socket, 4096)).decode()

    async def heard_until(self, wanted: str) -> list[str]:
        """Return the messages up to the wanted one."""
        messages = [await self.heard()]
        while messages[-1] != wanted:
            messages.append(await self.heard())
        return messages

    def waiting(self) -> list[str]:
        """Return what has come and was not heard yet."""
        found = []
        while True:
            try:
                found.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listener]:
    is_path = request.param == "path"
    opened = Listener(str(tmp_path / "notify") if is_path else f"@bulonera-{os.getpid()}")
    yield opened
    opened.close()


def service(listener: Listener, store_url: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": listener.address, "BULONERA_STORE__URL": store_url, **WATCHDOG}


async def test_it_is_told_ready_then_alive_then_stopping(
    listener: Listener, store_url: str, tmp_path: Path
) -> None:
    environment = service(listener, store_url)
    async with serving_process(tmp_path, "--port", "0", **environment) as daemon:
        ready = await listener.heard()
        alive = [await listener.heard() for _ in range(3)]
        code = await daemon.end(signal.SIGTERM)
        rest = await listener.heard_until("STOPPING=1")

    assert ready == f"READY=1\nSTATUS={daemon.address}"
    assert alive == ["WATCHDOG=1"] * 3
    assert set(rest) <= {"WATCHDOG=1", "STOPPING=1"}
    assert code == 0


async def test_a_writer_that_hangs_gives_no_sign_of_life(
    listener: Listener, store_url: str, tmp_path: Path
) -> None:
    environment = service(listener, store_url)
    async with serving_process(tmp_path, "--port", "0", **environment):
        await listener.heard_until("WATCHDOG=1")
        async with locked(store_url):
            # One that was under way may still come; then ten turns pass without any.
            await asyncio.sleep(0.2)
            listener.waiting()
            await asyncio.sleep(1)
            meanwhile = listener.waiting()
        again = await listener.heard()

    assert meanwhile == []
    assert again == "WATCHDOG=1"


async def test_a_loop_that_hangs_gives_no_sign_of_life(
    listener: Listener, store_url: str, tmp_path: Path
) -> None:
    environment = service(listener, store_url)
    async with serving_process(tmp_path, "--port", "0", **environment) as daemon:
        await listener.heard_until("WATCHDOG=1")
        await _stand_still(daemon)
        listener.waiting()
        await asyncio.sleep(0.5)
        meanwhile = listener.waiting()
        daemon.tell(signal.SIGCONT)
        again = await listener.heard()

    assert (meanwhile, again) == ([], "WATCHDOG=1")


async def _stand_still(daemon: DaemonProcess) -> None:
    daemon.tell(signal.SIGSTOP)
    status = Path(f"/proc/{daemon.process.pid}/status")
    while "State:\tT" not in status.read_text():  # noqa: ASYNC110, ASYNC240 - the kernel tells
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
    ids=str,
)
def test_the_watchdog_is_fed_where_it_is_ours(
    environment: dict[str, str], seconds: float | None, store_url: str
) -> None:
    assert Supervisor.of({"NOTIFY_SOCKET": "/run/n", **environment}).watchdog_seconds == seconds


def test_nobody_is_told_where_nobody_asks(store_url: str) -> None:
    assert Supervisor.of({}) == Supervisor()
    Supervisor().tell("READY=1")


def test_a_supervisor_that_is_gone_stops_nothing(store_url: str, tmp_path: Path) -> None:
    Supervisor(str(tmp_path / "gone")).tell("READY=1")


async def test_a_full_queue_is_no_turn_of_the_writer(
    gateway: Gateway, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "MAX_WAITING", 1)
    async with locked(store_url):
        held = [asyncio.create_task(gateway.upload(OPERATOR, [])) for _ in range(3)]
        await asyncio.sleep(0.1)
        beat = asyncio.create_task(gateway.beat())
        await asyncio.sleep(0.1)
        is_refused, is_beating = held[-1].done(), beat.done()

    await asyncio.gather(*held, beat, return_exceptions=True)
    assert (is_refused, is_beating) == (True, False)


async def test_turns_that_fail_one_after_the_other_are_signs_of_life(store_url: str) -> None:
    async def locked_out(work: object) -> None:
        await asyncio.sleep(0)
        raise StoreUnavailableError("locked")

    writer = writers.Writer(locked_out)
    waiting = [asyncio.create_task(writer.submit(nothing)) for _ in range(3)]

    await asyncio.wait_for(writer.turn(), 1)
    await asyncio.wait_for(writer.turn(), 1)

    await asyncio.gather(*waiting, return_exceptions=True)
    await writer.close()


async def nothing(session: Session) -> None: ...
