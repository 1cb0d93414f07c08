"""Ending a conflict: whose content wins, who may, and the same words again. Values only."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from bulonera_sync.changes import Circumstances
from bulonera_sync.checks import Known
from bulonera_sync.decisions import Policy
from bulonera_sync.resolutions import (
    Invalid,
    Refused,
    Repeated,
    Request,
    Resolved,
    Verdict,
    content_to_check,
    resolve,
)
from bulonera_sync.retries import RetryPolicy
from bulonera_sync.sales import Actor, Content, Fingerprints, Item, Parked, Product, Sale
from tests.factories import as_parsed

NOON = datetime(2026, 2, 16, 12, tzinfo=UTC)
AT = Circumstances(Actor("user", 1), NOON, RetryPolicy(), 1.0)
ITEM = Item(10, Decimal(5), Decimal("25.5"), "none", Decimal(0), Decimal(21))
SERVER = Content(5, "confirmed", (ITEM,), "server")
CLIENT = Content(6, "ready", (ITEM, ITEM), "client")
PARKED = Parked(CLIENT, Fingerprints.of(CLIENT), 1, "stale_version", NOON)
SALE = Sale(
    id=7,
    number="VTA-2026-00007",
    local_id="3f1d2c4b-5a69-4788-9a0b-c1d2e3f40516",
    user_id=1,
    sync_status="conflict",
    status="confirmed",
    version=2,
    fingerprints=Fingerprints.of(SERVER),
    created_at=NOON,
    updated_at=NOON,
    content=SERVER,
    parked=PARKED,
)
PRODUCTS = {10: Product(10, Decimal("25.5"), Decimal(21))}


def decide(
    request: Request,
    sale: Sale = SALE,
    *,
    at: Circumstances = AT,
    is_manager: bool = False,
    customers: frozenset[int] = frozenset({5, 6}),
) -> Verdict:
    upload = content_to_check(sale, request, max_items=500)
    known = Known(1, customers, PRODUCTS, None, Fingerprints(""), sale=sale)
    return resolve(
        sale, request, upload, known if upload else None, Policy(), at, is_manager=is_manager
    )


def resolved(request: Request, sale: Sale = SALE, **more: Any) -> Sale:
    verdict = decide(request, sale, **more)
    assert isinstance(verdict, Resolved)
    return verdict.change.after


def data(**fields: Any) -> dict[str, object]:
    [parsed] = as_parsed(fields)
    assert isinstance(parsed, dict)
    return parsed


def with_statuses(server: str, client: str) -> Sale:
    parked = replace(PARKED, content=replace(CLIENT, status=client))
    return replace(SALE, status=server, content=replace(SERVER, status=server), parked=parked)


@pytest.mark.parametrize(
    ("request_", "content", "version"),
    [
        (Request("server_wins"), SERVER, 2),
        (Request("client_wins"), CLIENT, 3),
        (Request("client_wins", client_data=data(notes="x")), replace(CLIENT, notes="x"), 3),
        (Request("manual", client_data=data(notes="x")), replace(SERVER, notes="x"), 3),
        (Request("manual", client_data={}), SERVER, 3),
    ],
)
def test_whose_content_it_has_from_now_on(
    request_: Request, content: Content, version: int
) -> None:
    sale = resolved(request_)

    assert (sale.content, sale.version) == (content, version)
    assert (sale.sync_status, sale.parked) == ("synced", None)
    assert sale.conflict_resolution == request_.resolution


def test_manual_alone_only_marks() -> None:
    sale = resolved(Request("manual"))

    assert sale == replace(
        SALE, conflict_resolution="manual", updated_at=NOON, resolution_words=sale.resolution_words
    )


@pytest.mark.parametrize("resolution", ["client_wins", "manual"])
@pytest.mark.parametrize("server", ["delivered", "cancelled"])
def test_a_locked_sale_is_a_managers_matter(resolution: Any, server: str) -> None:
    sale, request = with_statuses(server, server), Request(resolution, client_data=data(notes="x"))

    verdict, manager = decide(request, sale), decide(request, sale, is_manager=True)

    assert isinstance(verdict, Refused)
    assert verdict.code == "locked"
    assert isinstance(manager, Resolved)


@pytest.mark.parametrize(
    ("server", "client", "is_refused"),
    [
        ("confirmed", "draft", True),
        ("ready", "in_preparation", True),
        ("ready", "ready", False),
        ("ready", "delivered", False),
        ("ready", "cancelled", False),
    ],
)
def test_a_status_goes_back_for_a_manager_alone(
    server: str,
    client: str,
    is_refused: bool,  # noqa: FBT001 - a column of the table
) -> None:
    sale = with_statuses(server, client)

    verdict = decide(Request("client_wins"), sale)

    assert isinstance(verdict, Refused) == is_refused
    assert isinstance(decide(Request("client_wins"), sale, is_manager=True), Resolved)


def test_client_wins_is_checked_whole_and_manual_for_what_is_said() -> None:
    nobody: frozenset[int] = frozenset()

    client = decide(Request("client_wins"), customers=nobody)
    manual = decide(Request("manual", client_data=data(notes="x")), customers=nobody)

    assert isinstance(client, Invalid)
    assert client.problems[0].message == "Customer con id=6 no existe en base de datos"
    assert isinstance(manual, Resolved)


def test_an_expected_version_must_be_the_servers() -> None:
    stale = decide(Request("client_wins", expected_version=1))

    assert isinstance(stale, Refused)
    assert stale.code == "stale_version"
    assert isinstance(decide(Request("client_wins", expected_version=2)), Resolved)


@pytest.mark.parametrize("sync_status", ["synced", "error", "pending"])
def test_only_a_conflict_is_resolved(sync_status: Any) -> None:
    sale = replace(SALE, sync_status=sync_status, parked=None)

    verdict = decide(Request("server_wins", expected_version=99), sale)

    assert isinstance(verdict, Refused)
    assert verdict.code == "not_in_conflict"


REQUEST = Request("client_wins", "vale", data(notes="x", customer_id=5))


def test_the_same_words_are_repeated_whatever_version_is_expected() -> None:
    sale = resolved(REQUEST)

    assert isinstance(decide(replace(REQUEST, expected_version=99), sale), Repeated)


def test_the_order_of_keys_is_no_other_words() -> None:
    sale = resolved(REQUEST)
    turned = replace(REQUEST, client_data=data(customer_id=5, notes="x"))

    assert isinstance(decide(turned, sale), Repeated)


@pytest.mark.parametrize(
    "other",
    [
        replace(REQUEST, resolution="manual"),
        replace(REQUEST, notes=""),
        replace(REQUEST, client_data=None),
        replace(REQUEST, client_data={}),
        replace(REQUEST, client_data=data(notes="y", customer_id=5)),
    ],
)
def test_other_words_are_not_the_same(other: Request) -> None:
    assert isinstance(decide(other, resolved(REQUEST)), Refused)


def test_another_persons_words_are_not_the_same() -> None:
    other = replace(AT, actor=Actor("manager", 2))

    assert isinstance(decide(REQUEST, resolved(REQUEST), at=other, is_manager=True), Refused)
