"""Pages on other origins read every answer where they are listed, and none where they are not."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import pytest

from bulonera_sync.gateway import open_gateway
from bulonera_sync.store import sqlite
from tests.conftest import make_settings
from tests.factories import CUSTOMERS, PRODUCTS, make_sale
from tests.http import SYNC, Answer, Daemon, Till, running_daemon
from tests.store.databases import locked

LISTED = "https://caja.example"
ALSO_LISTED = "http://192.168.0.20:3000"
UPLOAD, PENDING = f"{SYNC}/upload/", f"{SYNC}/pending/"
PATHS = [
    UPLOAD,
    PENDING,
    f"{SYNC}/retry",
    f"{SYNC}/resolve/",
    f"{SYNC}/status/",
    f"{SYNC}/status/1/",
    "/api/v1/sales/1/",
    "/healthz",
    "/readyz/",
    "/nowhere",
]

# CORS is before whatever touches the store.
pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


class StartListed(Protocol):
    def __call__(
        self, *origins: str, throttle: str = "off", max_body_bytes: int = 5_242_880
    ) -> AbstractAsyncContextManager[Daemon]: ...


@pytest.fixture
def start_listed(store_url: str) -> StartListed:
    """Start a daemon that lists these origins."""

    @asynccontextmanager
    async def start(
        *origins: str, throttle: str = "off", max_body_bytes: int = 5_242_880
    ) -> AsyncIterator[Daemon]:
        settings = make_settings(store_url, throttle=throttle)
        server = settings.server.model_copy(
            update={"cors_origins": origins, "max_body_bytes": max_body_bytes}
        )
        async with open_gateway(settings.model_copy(update={"server": server})) as gateway:
            await gateway.import_rows("customers", CUSTOMERS)
            await gateway.import_rows("products", PRODUCTS)
            async with running_daemon(gateway) as daemon:
                yield daemon

    return start


@pytest.fixture
async def listed(start_listed: StartListed) -> AsyncIterator[Daemon]:
    async with start_listed(LISTED, ALSO_LISTED) as daemon:
        yield daemon


async def preflight(daemon: Daemon, path: str, origin: str = LISTED, **headers: str) -> Answer:
    """Ask as a browser does before a page's request: without a token."""
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
        **headers,
    }
    return await daemon.till_of(None).send("OPTIONS", path, headers=asked)


async def from_page(till: Till, method: str, path: str, origin: str = LISTED) -> Answer:
    body = {"sales": [make_sale()]} if method == "POST" else None
    return await till.send(method, path, json=body, headers={"Origin": origin})


def cors_headers(answer: Answer) -> set[str]:
    return {name for name in answer.headers if name.startswith("Access-Control-")}


def words(text: str) -> set[str]:
    return {word.strip() for word in text.split(",")}


def check_readable(answer: Answer, origin: str = LISTED) -> None:
    """A page on this origin, and no other, may read the answer and when to come again."""
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert "Origin" in words(answer.headers["Vary"])
    assert words(answer.headers["Access-Control-Expose-Headers"]) == {
        "Retry-After",
        "X-RateLimit-Limit",
        "X-RateLimit-Remaining",
        "X-RateLimit-Reset",
    }
    assert "Access-Control-Allow-Credentials" not in answer.headers


# Preflights


@pytest.mark.parametrize("path", PATHS)
async def test_a_preflight_is_answered_before_authentication_for_every_path(
    listed: Daemon, path: str
) -> None:
    answer = await preflight(listed, path)

    assert (answer.status, answer.text) == (204, "")
    check_readable(answer)
    assert words(answer.headers["Access-Control-Allow-Methods"]) >= {"GET", "POST", "PATCH"}
    assert words(answer.headers["Access-Control-Allow-Headers"]) == {
        "Authorization",
        "Content-Type",
    }
    assert 0 < int(answer.headers["Access-Control-Max-Age"]) <= 7200


async def test_preflights_cost_nobody_anything(start_listed: StartListed) -> None:
    async with start_listed(LISTED, throttle="1/hour") as daemon:
        ana = await daemon.till("ana")

        for _ in range(20):
            assert (await preflight(daemon, UPLOAD)).status == 204

        assert (await from_page(ana, "GET", PENDING)).status == 200


async def test_a_private_network_is_allowed_where_it_is_asked_for(listed: Daemon) -> None:
    asked = await preflight(listed, UPLOAD, **{"Access-Control-Request-Private-Network": "true"})
    plain = await preflight(listed, UPLOAD)

    assert asked.headers["Access-Control-Allow-Private-Network"] == "true"
    assert "Access-Control-Allow-Private-Network" not in plain.headers


async def test_options_without_an_origin_is_a_method_like_any_other(listed: Daemon) -> None:
    ana = await listed.till("ana")

    assert (await listed.till_of(None).send("OPTIONS", UPLOAD)).status == 401
    assert (await ana.send("OPTIONS", UPLOAD)).status == 405


# Answers


async def test_each_listed_origin_is_answered_by_its_own_name(listed: Daemon) -> None:
    ana = await listed.till("ana")

    for origin in (LISTED, ALSO_LISTED):
        answer = await from_page(ana, "POST", UPLOAD, origin)

        assert answer.status == 200
        check_readable(answer, origin)


async def test_every_refusal_is_readable(start_listed: StartListed) -> None:
    async with start_listed(LISTED, throttle="6/hour", max_body_bytes=1024) as daemon:
        ana, nobody = await daemon.till("ana"), daemon.till_of(None)

        refusals = [
            await from_page(nobody, "GET", PENDING),
            await from_page(ana, "GET", "/nowhere"),
            await from_page(ana, "GET", "/api/v1/sales/99/"),
            await from_page(ana, "GET", UPLOAD),
            await ana.post_bytes(UPLOAD, b"{", Origin=LISTED),
            await ana.post_bytes(UPLOAD, b" " * 1025, Origin=LISTED),
            await ana.send("POST", UPLOAD, data="a", headers={"Origin": LISTED}),
            await from_page(ana, "PATCH", "/api/v1/sales/99/"),
            await from_page(ana, "GET", PENDING),
        ]

        statuses = [answer.status for answer in refusals]
        assert statuses == [401, 404, 404, 405, 400, 413, 415, 403, 429]
        for answer in refusals:
            check_readable(answer)
        assert {"Retry-After", "X-RateLimit-Remaining"} <= set(refusals[-1].headers)


async def test_a_database_that_is_not_available_is_told_readably(
    start_listed: StartListed, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.05)
    async with start_listed(LISTED) as daemon:
        ana = await daemon.till("ana")

        async with locked(store_url):
            answer = await from_page(ana, "POST", UPLOAD)

    assert answer.status == 503
    assert "Retry-After" in answer.headers
    check_readable(answer)


async def test_a_fault_of_the_gateways_own_is_told_readably(
    listed: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = await listed.till("ana")

    async def fault(*_: object) -> None:
        raise LookupError("a mistake in the code")

    monkeypatch.setattr(listed.gateway, "find_sale", fault)

    answer = await from_page(ana, "GET", "/api/v1/sales/1/")

    assert answer.status == 500
    assert answer.json.keys() == {"detail", "error_id"}
    check_readable(answer)


async def test_an_answer_without_an_origin_says_that_it_varies(listed: Daemon) -> None:
    ana = await listed.till("ana")

    answer = await ana.get(PENDING)

    assert answer.headers["Vary"] == "Origin"
    assert not cors_headers(answer)


# Others


@pytest.mark.parametrize(
    "origin",
    [
        "https://other.example",
        "http://caja.example",
        "https://caja.example:444",
        "https://caja.example.evil.example",
        "https://CAJA.example",
        "https://caja.example/",
        "null",
        "*",
        "",
    ],
)
async def test_another_origin_is_told_nothing(listed: Daemon, origin: str) -> None:
    ana = await listed.till("ana")

    asked = await preflight(listed, UPLOAD, origin)
    answered = await from_page(ana, "GET", PENDING, origin)

    assert (asked.status, answered.status) == (403, 200)
    assert "cors_origins" in asked.json["detail"]
    for answer in (asked, answered):
        assert not cors_headers(answer)
        assert answer.headers["Vary"] == "Origin"


async def test_off_nothing_changes(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    asked = await preflight(daemon, UPLOAD)
    answered = await from_page(ana, "POST", UPLOAD)

    assert (asked.status, answered.status) == (401, 200)
    for answer in (asked, answered):
        assert not cors_headers(answer)
        assert "Vary" not in answer.headers
