"""Requests that schemathesis makes of the API's own document, against a daemon in its process.

What is off, and why, stands in `schemathesis.toml`; what fills in ids that are there, in `hooks`.
"""

import json
import os
import sys
from asyncio.subprocess import PIPE, STDOUT, create_subprocess_exec
from pathlib import Path
from typing import Any

import pytest

from bulonera_sync.config import Settings
from tests.api.furnished import furnish_with_sales
from tests.documented import DOCUMENT
from tests.end_to_end.processes import on_store, serving_process

ROOT = Path(__file__).parents[2]
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")


async def generate(address: str, token: str, folder: Path, *options: str) -> tuple[Any, str]:
    """Run schemathesis over every endpoint; return its report and all that it printed."""
    # As a file: its own address would be left out of what is asked.
    document = folder / "openapi.json"
    document.write_text(json.dumps(DOCUMENT), "utf-8")
    report = folder / "report.json"
    process = await create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", f"--config-file={CONFIGURATION}", "run"),
        str(document),
        f"--url={address}",
        f"--header=Authorization: Token {token}",
        "--continue-on-failure",
        "--no-color",
        # The same requests each time: a run that fails says something of the change.
        *("--seed=1", "--generation-database=none"),
        f"--report-json-path={report}",
        *options,
        stdout=PIPE,
        stderr=STDOUT,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.api.hooks"},
    )
    out, _ = await process.communicate()
    assert report.exists(), out.decode()
    return json.loads(report.read_text("utf-8")), out.decode()


async def test_a_thousand_generated_requests_find_nothing(
    store_url: str, settings: Settings, tmp_path: Path
) -> None:
    token = await furnish_with_sales(settings, "manager")

    async with serving_process(tmp_path, **on_store(store_url)) as daemon:
        report, said = await generate(daemon.address, token, tmp_path, "--max-examples=5")

    assert report["exit_code"] == 0, said
    assert report["test_cases"]["generated"] >= 1_000, said
    assert report["operations"]["tested"] == sum(len(item) for item in DOCUMENT["paths"].values())
    assert {phase["status"] for phase in report["phases"].values()} == {"success"}
    # What is right in form gets through everywhere, and not only to a refusal.
    for operation, rates in report["valid_rates"].items():
        assert sum(phase["accepted"] for phase in rates.values()), operation


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_nothing_is_found_where_a_cashier_is_throttled(
    settings: Settings, store_url: str, tmp_path: Path
) -> None:
    token = await furnish_with_sales(settings, "cashier")
    throttled = {**on_store(store_url), "BULONERA_SYNC__THROTTLE": "20/minute"}

    async with serving_process(tmp_path, **throttled) as daemon:
        report, said = await generate(
            daemon.address,
            token,
            tmp_path,
            *("--max-examples=5", "--phases=examples,fuzzing", "--warnings=off"),
        )

    assert report["exit_code"] == 0, said
