"""The figures for Prometheus: true, cheap to ask for, and no word of a sale."""

import asyncio
import json
import re
from pathlib import Path

import asyncpg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bulonera_sync.errors import StoreUnavailableError
from bulonera_sync.server import metrics
from tests.factories import make_sale
from tests.http import Daemon
from tests.store.databases import ON_POSTGRES, ON_SQLITE

MONITORING = Path(__file__).parents[2] / "docs" / "monitoring"

ATTEMPTS = "bulonera_retry_attempts_total"

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def scrape(daemon: Daemon) -> Samples:
    async with daemon.http.get(f"{daemon.address}/metrics") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        text = await answer.text()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def figure(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, tuple(sorted(labels.items()))), 0.0)


async def test_sales_are_told_by_state_and_the_oldest_by_its_age(daemon: Daemon) -> None:
    till = await daemon.till("ana")
    await till.upload(make_sale(), make_sale(), make_sale(customer_id=999))

    samples = await scrape(daemon)

    assert figure(samples, "bulonera_sales", state="synced") == 2
    assert figure(samples, "bulonera_sales", state="error") == 1
    assert figure(samples, "bulonera_database_up") == 1
    assert 0 <= figure(samples, "bulonera_oldest_unsynced_age_seconds") < 60


async def test_requests_are_counted_under_their_templates(daemon: Daemon) -> None:
    till = await daemon.till("ana")
    await till.upload(make_sale())
    for path in ("/api/v1/sales/1/", "/api/v1/sales/1", "/api/v1/sales/77"):
        await till.get(path)
    await till.get("/nowhere/at/all")

    samples = await scrape(daemon)

    sale = {"method": "GET", "route": "/api/v1/sales/{sale}"}
    assert figure(samples, "bulonera_requests_total", status="200", **sale) == 2
    assert figure(samples, "bulonera_requests_total", status="404", **sale) == 1
    assert figure(samples, "bulonera_request_seconds_count", **sale) == 3
    elsewhere = {"method": "GET", "route": "elsewhere", "status": "404"}
    assert figure(samples, "bulonera_requests_total", **elsewhere) == 1


async def test_writes_and_retries_are_counted(daemon: Daemon) -> None:
    till = await daemon.till("ana")
    before = await scrape(daemon)
    await till.upload(make_sale(customer_id=999))
    await till.post("/api/v1/sales/sync/retry/", {"sale_ids": [1]})
    while figure(after := await scrape(daemon), ATTEMPTS, result="error") == 0:
        assert figure(after, "bulonera_sales", state="synced") == 0

    name = "bulonera_transaction_units_total"
    assert figure(after, name) - figure(before, name) >= 3
    assert figure(after, "bulonera_transaction_seconds_count") >= 3
    assert figure(after, "bulonera_writes_waiting") == 0


@ON_SQLITE
async def test_without_a_database_the_process_still_tells_of_itself(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreachable(*_: object) -> None:
        raise StoreUnavailableError("gone")

    monkeypatch.setattr(daemon.gateway._store, "read", unreachable)

    samples = await scrape(daemon)

    assert samples["bulonera_database_up", ()] == 0
    assert not [name for name, _ in samples if name == "bulonera_sales"]
    assert figure(samples, "process_resident_memory_bytes") > 0


@ON_POSTGRES
async def test_a_database_that_keeps_a_scrape_waiting_counts_as_down(
    daemon: Daemon, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "ANSWER_SECONDS", 0.05)
    locking = await asyncpg.connect(store_url)
    try:
        async with asyncio.timeout(10), locking.transaction():
            await locking.execute("LOCK TABLE sales")
            while_locked = await scrape(daemon)
    finally:
        await locking.close()
    monkeypatch.undo()
    afterwards = await scrape(daemon)

    assert while_locked["bulonera_database_up", ()] == 0
    assert afterwards["bulonera_database_up", ()] == 1


@ON_SQLITE
async def test_a_method_that_a_client_makes_up_is_no_label_of_its_own(daemon: Daemon) -> None:
    async with daemon.http.request("BREW", f"{daemon.address}/healthz") as answer:
        assert answer.status in (400, 405)

    assert "BREW" not in {
        value for _, labels in await scrape(daemon) for name, value in labels if name == "method"
    }


@ON_SQLITE
@pytest.mark.parametrize("file", ["alerts.yml", "grafana.json"])
async def test_dashboard_and_alerts_ask_for_figures_that_there_are(
    daemon: Daemon, file: str
) -> None:
    await (await daemon.till("ana")).upload(make_sale())
    text = (MONITORING / file).read_text()
    if file.endswith(".json"):
        text = "\n".join(
            target["expr"] for panel in json.loads(text)["panels"] for target in panel["targets"]
        )

    asked = set(re.findall(r"\b(?:bulonera|process)_[a-z_]+", text))

    assert len(asked) > 5
    assert asked <= {name for name, _ in await scrape(daemon)}


@ON_SQLITE
async def test_every_figure_of_ours_is_explained(daemon: Daemon) -> None:
    await (await daemon.till("ana")).upload(make_sale())
    explained = (MONITORING.parent / "monitoring.md").read_text()

    names = {
        re.sub(r"_(bucket|count|sum|created)$", "", name)
        for name, _ in await scrape(daemon)
        if name.startswith("bulonera")
    }

    assert [name for name in sorted(names) if name.removesuffix("_total") not in explained] == []
