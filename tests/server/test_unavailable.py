"""A database that can't be used now is a 503 and nothing else: sending again is always safe."""

import pytest

from bulonera_sync.store import postgres, sqlite
from tests.conftest import StartDaemon
from tests.factories import make_sale
from tests.http import SYNC, Answer
from tests.postgres import PostgresServer
from tests.store.databases import ON_POSTGRES, ON_SQLITE, locked, run_sql


def is_unavailable(answer: Answer) -> bool:
    return (
        answer.status == 503
        and int(answer.headers["Retry-After"]) >= 1
        and list(answer.json) == ["detail"]
        and "database" in answer.json["detail"]
    )


async def test_an_upload_to_a_locked_database_is_answered_later(
    start_daemon: StartDaemon, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setitem(postgres.SERVER_SETTINGS, "lock_timeout", "50ms")
    async with start_daemon() as daemon:
        ana = await daemon.till("ana")
        sale = make_sale()

        async with locked(store_url):
            refused = await ana.upload(sale)
            read = await ana.get(f"{SYNC}/pending/")
        again = await ana.upload(sale)

    assert is_unavailable(refused)
    assert read.status == 200
    assert again.result["sale_number"].endswith("-00001")


@ON_SQLITE
async def test_a_commit_that_fails_is_told_as_unknown_and_never_as_an_error(
    start_daemon: StartDaemon, store_url: str
) -> None:
    async with start_daemon() as daemon:
        ana = await daemon.till("ana")
        # A row without its parent, found when everything is written: at COMMIT.
        await run_sql(
            store_url,
            "CREATE TABLE orphans (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL"
            " REFERENCES orphans (id) DEFERRABLE INITIALLY DEFERRED)",
            "CREATE TRIGGER lose AFTER INSERT ON sales WHEN NEW.notes = 'lost'"
            " BEGIN INSERT INTO orphans VALUES (NEW.id, 0); END",
        )
        sale = make_sale(notes="lost")

        refused = await ana.upload(sale)
        unknown = (await ana.post(f"{SYNC}/status/", {"local_ids": [sale["local_id"]]})).json
        await run_sql(store_url, "DROP TRIGGER lose")
        again = await ana.upload(sale)

    assert is_unavailable(refused)
    assert unknown["results"][0]["sync_status"] == "unknown"
    assert again.result["status"] == "success"


@ON_POSTGRES
async def test_a_stopped_postgres_is_a_503_until_it_is_back(
    start_daemon: StartDaemon, postgres_server: PostgresServer
) -> None:
    async with start_daemon() as daemon:
        ana = await daemon.till("ana")
        sale = make_sale()
        before = await ana.upload(sale)

        postgres_server.stop()
        try:
            refused = await ana.upload(make_sale())
            ready = await ana.get("/readyz")
            alive = await ana.get("/healthz")
        finally:
            postgres_server.start()
        again = await ana.upload(sale)

    assert is_unavailable(refused)
    assert (ready.status, alive.status) == (503, 200)
    assert again.result["message"] == "Sale already synced"
    assert again.result["sale_id"] == before.result["sale_id"]
