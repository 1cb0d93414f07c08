"""The daemon as an operator has it: started, told to stop, started twice, tried out."""

import asyncio
import json
import shlex
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientConnectionError, ClientSession

from tests.end_to_end.processes import (
    DaemonProcess,
    furnish,
    has_no_gap,
    http_session,
    on_store,
    run,
    serving_process,
    stored_sales,
)
from tests.factories import make_sale
from tests.http import SYNC, Till

HERE = "127.0.0.1"


@pytest.fixture
async def http() -> AsyncIterator[ClientSession]:
    async with http_session() as session:
        yield session


async def test_a_daemon_says_its_address_when_it_is_ready(
    tmp_path: Path, store_url: str, http: ClientSession
) -> None:
    async with serving_process(tmp_path, **on_store(store_url)) as daemon:
        [line] = daemon.lines
        ready = await Till(http, daemon.address, None).get("/readyz")

    assert line == f"Ready at {daemon.address}"
    assert ready.status == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_daemon_told_to_stop_ends_in_order(
    tmp_path: Path, store_url: str, number: signal.Signals
) -> None:
    async with serving_process(tmp_path, **on_store(store_url)) as daemon:
        code = await daemon.end(number)

    assert code == 0
    log = (tmp_path / "logs" / "sync.log").read_text()
    assert "Gateway started" in log
    assert "Gateway stopped" in log


async def test_a_daemon_prepares_its_database_itself(tmp_path: Path, http: ClientSession) -> None:
    async with serving_process(tmp_path, "--port", "0") as daemon:
        ready = await Till(http, daemon.address, None).get("/readyz")

    assert ready.status == 200
    assert (tmp_path / "bulonera-sync.db").exists()


async def test_a_user_of_the_command_line_is_known_to_the_running_daemon(
    tmp_path: Path, store_url: str, http: ClientSession
) -> None:
    environment = on_store(store_url)
    async with serving_process(tmp_path, **environment) as daemon:
        _, out, _ = await run(tmp_path, "user", "add", "ana", "--json", **environment)
        till = Till(http, daemon.address, json.loads(out)["token"])
        while_enabled = await till.get(f"{SYNC}/pending/")
        await run(tmp_path, "user", "disable", "ana", **environment)
        while_disabled = await till.get(f"{SYNC}/pending/")

    assert (while_enabled.status, while_disabled.status) == (200, 401)


async def test_a_second_daemon_on_the_same_file_is_refused(
    tmp_path: Path, http: ClientSession
) -> None:
    (tmp_path / "link.db").symlink_to("shop.db")
    first = on_store(f"sqlite:///{tmp_path / 'shop.db'}")
    second = on_store(f"sqlite:///{tmp_path / 'link.db'}")
    async with serving_process(tmp_path, **first) as daemon:
        code, out, err = await run(tmp_path, "serve", **second)
        still = await Till(http, daemon.address, None).get("/readyz")

    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert f"another daemon (process {daemon.process.pid})" in err
    assert still.status == 200


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server((HERE, 0)) as taken:
        port = str(taken.getsockname()[1])
        code, _, err = await run(tmp_path, "serve", "--port", port)

    assert code == 1
    assert err.count("\n") == 1
    assert port in err
    assert "in use" in err


async def test_a_log_that_cant_be_written_is_told_and_stops_no_sale(
    tmp_path: Path, store_url: str, http: ClientSession
) -> None:
    [token] = await furnish(store_url, "ana")
    (tmp_path / "logs").write_text("no folder")
    async with serving_process(tmp_path, **on_store(store_url)) as daemon:
        answer = await Till(http, daemon.address, token).upload(make_sale())
        code = await daemon.end()
        assert daemon.process.stderr is not None
        err = (await daemon.process.stderr.read()).decode()

    assert (answer.status, code) == (200, 0)
    assert err.count("\n") == 1
    assert "can't be written" in err


# A request that waits for its body, so that the test decides when it ends.


class BegunUpload:
    """An upload whose handler waits for the body."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def begin(cls, daemon: DaemonProcess, token: str, body: bytes) -> "BegunUpload":
        reader, writer = await asyncio.open_connection(HERE, daemon.port)
        head = (
            f"POST {SYNC}/upload/ HTTP/1.1\r\nHost: {HERE}\r\nAuthorization: Token {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            "Expect: 100-continue\r\n\r\n"
        )
        writer.write(head.encode())
        assert b" 100 " in await reader.readuntil(b"\r\n\r\n")
        return cls(reader, writer)

    async def finish(self, body: bytes) -> bytes:
        """Send the body; return the answer's head."""
        self._writer.write(body)
        return await self._reader.readuntil(b"\r\n\r\n")

    def close(self) -> None:
        self._writer.close()


async def _until_refused(daemon: DaemonProcess) -> None:
    """Return when the daemon takes no more connections."""
    while True:
        try:
            _, writer = await asyncio.open_connection(HERE, daemon.port)
        except ConnectionError:
            return
        writer.close()


async def test_a_begun_request_ends_before_the_daemon_does(tmp_path: Path, store_url: str) -> None:
    [token] = await furnish(store_url, "ana")
    sale = make_sale()
    body = json.dumps({"sales": [sale]}).encode()
    async with serving_process(tmp_path, **on_store(store_url)) as daemon:
        upload = await BegunUpload.begin(daemon, token, body)
        daemon.tell(signal.SIGTERM)
        await _until_refused(daemon)

        answer = await upload.finish(body)
        upload.close()
        code = await daemon.ended()

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert code == 0
    assert [each.local_id for each in await stored_sales(store_url)] == [sale["local_id"]]


async def test_a_request_that_never_ends_does_not_hold_the_daemon(
    tmp_path: Path, store_url: str
) -> None:
    [token] = await furnish(store_url, "ana")
    async with serving_process(tmp_path, **on_store(store_url)) as daemon:
        upload = await BegunUpload.begin(daemon, token, b"{}")

        code = await daemon.end()
        upload.close()

    assert code == 0


async def test_a_second_signal_ends_the_daemon_at_once(tmp_path: Path, store_url: str) -> None:
    [token] = await furnish(store_url, "ana")
    async with serving_process(tmp_path, **on_store(store_url)) as daemon:
        upload = await BegunUpload.begin(daemon, token, b"{}")
        daemon.tell(signal.SIGTERM)
        await _until_refused(daemon)

        code = await daemon.end(signal.SIGTERM)
        upload.close()

    assert code == -signal.SIGTERM


async def test_what_was_answered_while_the_daemon_stops_is_stored(
    tmp_path: Path, store_url: str, http: ClientSession
) -> None:
    tokens = await furnish(store_url, "ana", "beto", "caro", "dina")
    answered: list[str] = []
    enough = asyncio.Event()
    async with serving_process(tmp_path, **on_store(store_url)) as daemon:

        async def sell(token: str) -> None:
            till = Till(http, daemon.address, token)
            while True:
                answer = await till.upload(*(make_sale() for _ in range(5)))
                assert answer.status == 200
                answered.extend(each["local_id"] for each in answer.json["results"])
                if len(answered) >= 50:
                    enough.set()

        selling = [asyncio.create_task(sell(token)) for token in tokens]
        await enough.wait()
        code = await daemon.end()
        # A till whose next request comes too late sees its connection refused or closed.
        ends = await asyncio.gather(*selling, return_exceptions=True)

    assert code == 0
    assert all(isinstance(end, ClientConnectionError) for end in ends), ends
    sales = await stored_sales(store_url)
    assert set(answered) <= {sale.local_id for sale in sales}
    assert has_no_gap(sales)


# The demo


def _token_of(lines: list[str], username: str) -> str:
    [line] = [line for line in lines if f" {username}: " in line]
    return line.rsplit(" ", 1)[1]


async def _paste(lines: list[str]) -> Mapping[str, Any]:
    """Run the upload that the demo printed, in a shell; return its answer."""
    [line] = [line for line in lines if line.startswith("curl ")]
    shell = await asyncio.create_subprocess_shell(
        line, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    out, _ = await shell.communicate()
    document: Mapping[str, Any] = json.loads(out)
    return document


async def test_the_demos_upload_gets_the_guides_answer(tmp_path: Path) -> None:
    async with serving_process(tmp_path, "--demo", "--port", "0") as daemon:
        answer = await _paste(daemon.lines)

    [result] = answer["results"]
    assert answer["summary"] == {"total": 1, "successful": 1, "conflicts": 0, "errors": 0}
    assert (result["status"], result["message"]) == ("success", None)
    assert result["sale_number"].startswith("VTA-")
    assert result["sale_number"].endswith("-00001")


async def test_a_demo_started_again_on_its_data_has_its_sales(
    tmp_path: Path, http: ClientSession
) -> None:
    arguments = ("--demo", "--data", "demo", "--port", "0")
    async with serving_process(tmp_path, *arguments) as daemon:
        sold = (await _paste(daemon.lines))["results"][0]
        await daemon.end()
        former_token = _token_of(daemon.lines, "ana")

    async with serving_process(tmp_path, *arguments) as daemon:
        cashier = Till(http, daemon.address, _token_of(daemon.lines, "ana"))
        manager = Till(http, daemon.address, _token_of(daemon.lines, "marta"))
        found = [await till.status(sold["sale_id"]) for till in (cashier, manager)]
        again = (await _paste(daemon.lines))["results"][0]

    assert cashier.token != former_token
    assert [each["sale_number"] for each in found] == [sold["sale_number"]] * 2
    assert again["sale_number"].endswith("-00002")


def _names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_a_demo_without_a_folder_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    async with serving_process(tmp_path, "--demo", "--port", "0") as daemon:
        during = _names_in(tmp_path)
        code = await daemon.end(signal.SIGINT)

    assert code == 0
    assert len(during) == 1
    assert _names_in(tmp_path) == []


async def test_a_demo_is_for_this_machine_alone_and_throttled_as_configured(
    tmp_path: Path, http: ClientSession
) -> None:
    environment = {"BULONERA_SERVER__HOST": "::", "BULONERA_SYNC__THROTTLE": "7/hour"}
    async with serving_process(tmp_path, "--demo", "--port", "0", **environment) as daemon:
        till = Till(http, daemon.address, _token_of(daemon.lines, "ana"))
        answer = await till.get(f"{SYNC}/pending/")
        # Also this machine, but not the address that the demo is on.
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.2", daemon.port)

    assert daemon.address.startswith(f"http://{HERE}:")
    assert answer.headers["X-RateLimit-Limit"] == "7"


async def test_a_demo_leaves_a_shops_own_database_alone(tmp_path: Path) -> None:
    await run(tmp_path, "user", "add", "real", "--no-token")
    before = (tmp_path / "bulonera-sync.db").read_bytes()
    async with serving_process(tmp_path, "--demo", "--data", ".", "--port", "0") as daemon:
        await _paste(daemon.lines)
        await daemon.end()

    assert (tmp_path / "bulonera-sync.db").read_bytes() == before


async def test_a_demo_says_how_other_commands_find_it(tmp_path: Path) -> None:
    async with serving_process(tmp_path, "--demo", "--data", "it", "--port", "0") as daemon:
        await _paste(daemon.lines)
        [line] = [each for each in daemon.lines if "--config" in each]
        config = shlex.split(line)[shlex.split(line).index("--config") + 1]
        said = await run(tmp_path, "--config", config, "show", "1")
        await daemon.end()

    assert "VTA-" in str(said)
    assert not (tmp_path / "it" / "config.toml").exists()
