"""The daemon runs on the faster event loop where it is installed, and on Python's own elsewhere."""

import asyncio
import re
import signal
import sys
from pathlib import Path

import pytest
from aiohttp import ClientSession

from tests.store.databases import ON_SQLITE

pytestmark = ON_SQLITE

BLOCKED = "import sys; sys.modules['uvloop'] = None; "
PROGRAM = "from bulonera_sync.cli.main import main; sys.exit(main())"


@pytest.mark.parametrize(("before", "loop"), [(BLOCKED, "asyncio"), ("import sys; ", "uvloop")])
async def test_a_daemon_serves_and_stops_in_order_on_either_loop(
    before: str, loop: str, store_url: str, tmp_path: Path
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", before + PROGRAM, "serve", "--demo", "--port", "0"),
        *("--data", str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    while "Ready at" not in (line := (await process.stdout.readline()).decode()):
        assert line, "it ended before it was ready"
    [address] = re.findall(r"http://\S+", line)

    async with ClientSession() as http, http.get(f"{address}/readyz") as answer:
        assert answer.status == 200
    process.send_signal(signal.SIGTERM)
    code = await asyncio.wait_for(process.wait(), 10)

    assert code == 0
    assert f"    loop: {loop}\n" in (tmp_path / "logs" / "sync.log").read_text()
