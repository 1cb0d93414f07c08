"""What the tests share: both engines, an open gateway, a running daemon."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from bulonera_sync.config import Settings, StoreSettings, SyncSettings
from bulonera_sync.gateway import Gateway, open_gateway
from bulonera_sync.sales import User
from bulonera_sync.store.postgres_upgrades import upgrade_postgres
from bulonera_sync.store.upgrades import upgrade_sqlite
from tests.factories import CUSTOMERS, PRODUCTS
from tests.http import Daemon, running_daemon
from tests.needs import give_up
from tests.postgres import PostgresServer, postgres_or_reason
from tests.threads import run_apart

# The tests read the texts of the source, whatever the machine speaks.
os.environ["BULONERA_LANG"] = "en"

_TEMPLATE = "template_gateway"
_databases = count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A Postgres for the whole run. Missing, it fails where CI requires it, else skips."""
    found = postgres_or_reason()
    if isinstance(found, str):
        give_up(found, required_by="BULONERA_REQUIRE_POSTGRES")
    with found:
        yield found


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    """A database with its schema, to copy for each test."""
    postgres_server.create_database(_TEMPLATE)
    run_apart(upgrade_postgres(postgres_server.url(_TEMPLATE)))
    return _TEMPLATE


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The url of a database of this test's own, prepared; each test runs on both engines."""
    if request.param == "sqlite":
        path = tmp_path / "gateway.db"
        upgrade_sqlite(path, now=datetime.now(UTC))
        yield f"sqlite:///{path}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    template: str = request.getfixturevalue("postgres_template")
    name = f"test_{next(_databases)}"
    server.create_database(name, template=template)
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture
def settings(store_url: str) -> Settings:
    """Settings on this test's database, the throttle off and a free port."""
    return make_settings(store_url)


def make_settings(store_url: str, **sync: object) -> Settings:
    return Settings.model_validate(
        {
            "store": StoreSettings(url=store_url),
            "sync": SyncSettings.model_validate({"throttle": "off", **sync}),
            "server": {"port": 0},
        }
    )


@pytest.fixture
async def gateway(settings: Settings) -> AsyncIterator[Gateway]:
    """An open gateway with the factories' catalogue."""
    async with open_gateway(settings) as opened:
        await opened.import_rows("customers", CUSTOMERS)
        await opened.import_rows("products", PRODUCTS)
        yield opened


@pytest.fixture
async def cashier(gateway: Gateway) -> User:
    return (await gateway.add_user("ana", "cashier"))[0]


@pytest.fixture
async def manager(gateway: Gateway) -> User:
    return (await gateway.add_user("marta", "manager"))[0]


@pytest.fixture
async def daemon(gateway: Gateway) -> AsyncIterator[Daemon]:
    """The HTTP side of the open gateway, on a port of its own."""
    async with running_daemon(gateway) as running:
        yield running


StartDaemon = Callable[..., AbstractAsyncContextManager[Daemon]]


@pytest.fixture
def start_daemon(store_url: str) -> StartDaemon:
    """Start a daemon with other `[sync]` settings, or a second one on the same database."""

    @asynccontextmanager
    async def start(**sync: object) -> AsyncIterator[Daemon]:
        async with open_gateway(make_settings(store_url, **sync)) as opened:
            await opened.import_rows("customers", CUSTOMERS)
            await opened.import_rows("products", PRODUCTS)
            async with running_daemon(opened) as running:
                yield running

    return start
