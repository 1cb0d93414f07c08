"""Every change of a sale is an event (contract 8): when, who, from and to version, detail."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from bulonera_sync.gateway import Gateway, HistoryEntry
from bulonera_sync.resolutions import Request
from bulonera_sync.sales import OPERATOR, User
from bulonera_sync.store.catalog import CatalogCustomer
from tests.factories import Json, as_parsed, make_item, make_sale
from tests.model.stopped import NOON, Chance, Clock, step, stopped_daemon

NEW_CUSTOMER = CatalogCustomer(999, "Cliente nuevo", "", True)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def gateway(store_url: str, clock: Clock) -> AsyncIterator[Gateway]:
    async with stopped_daemon(store_url, clock, Chance()) as running:
        yield running.gateway


@pytest.fixture
async def ana(gateway: Gateway) -> User:
    return (await gateway.add_user("ana", "cashier"))[0]


@pytest.fixture
async def marta(gateway: Gateway) -> User:
    return (await gateway.add_user("marta", "manager"))[0]


async def send(gateway: Gateway, user: User, sale: Json) -> int:
    """Upload one sale; return its id."""
    [outcome] = await gateway.upload(user, as_parsed(sale))
    assert outcome.sale_id is not None
    return outcome.sale_id


def facts(entry: HistoryEntry) -> tuple[str, str, str | None, int | None, int | None]:
    return (entry.kind, entry.actor, entry.username, entry.from_version, entry.to_version)


async def story(gateway: Gateway, key: int) -> list[HistoryEntry]:
    _, entries = await gateway.history(OPERATOR, key)
    return entries


async def test_a_sale_that_heals_tells_its_whole_story(
    gateway: Gateway, ana: User, clock: Clock
) -> None:
    key = await send(gateway, ana, make_sale(customer_id=999))
    clock.advance(30)
    await step(gateway)
    clock.advance(5)
    await gateway.import_rows("customers", [NEW_CUSTOMER])
    await step(gateway)

    entries = await story(gateway, key)

    text = "Customer con id=999 no existe en base de datos"
    assert [facts(entry) for entry in entries] == [
        ("held", "user", "ana", None, None),
        ("retried", "scheduler", None, None, None),
        ("retried", "scheduler", None, None, 1),
    ]
    assert [entry.detail.get("error") for entry in entries] == [text, text, None]
    assert [entry.detail["result"] for entry in entries] == ["error", "error", "synced"]
    assert [entry.at for entry in entries] == [
        NOON,
        NOON + timedelta(seconds=30),
        NOON + timedelta(seconds=35),
    ]


async def test_a_requested_retry_and_its_outcome_are_two_events(
    gateway: Gateway, ana: User, marta: User
) -> None:
    key = await send(gateway, ana, make_sale(customer_id=999))
    await gateway.retry(marta, [key])
    await step(gateway)

    entries = await story(gateway, key)

    assert [facts(entry)[:3] for entry in entries] == [
        ("held", "user", "ana"),
        ("retried", "manager", "marta"),
        ("retried", "scheduler", None),
    ]


async def test_a_retry_of_what_is_queued_is_no_event(gateway: Gateway, ana: User) -> None:
    key = await send(gateway, ana, make_sale(customer_id=999))
    await gateway.retry(ana, [key])
    before = await story(gateway, key)

    await gateway.retry(ana, [key])

    assert await story(gateway, key) == before


async def test_updates_name_both_versions(gateway: Gateway, ana: User) -> None:
    sale = make_sale()
    key = await send(gateway, ana, sale)
    await send(gateway, ana, {**sale, "notes": "b"})

    entries = await story(gateway, key)

    assert [facts(entry) for entry in entries] == [
        ("created", "user", "ana", None, 1),
        ("updated", "user", "ana", 1, 2),
    ]


async def test_an_edit_names_what_it_changed(gateway: Gateway, ana: User, marta: User) -> None:
    key = await send(gateway, ana, make_sale(notes="a"))

    await gateway.edit(marta, key, {"notes": "b", "payment_status": "paid", "status": "draft"}, 1)

    [_, entry] = await story(gateway, key)
    assert facts(entry) == ("edited", "manager", "marta", 1, 2)
    assert entry.detail == {"fields": ["notes", "payment_status"]}


async def test_an_edit_that_changes_nothing_is_no_event(
    gateway: Gateway, ana: User, marta: User
) -> None:
    key = await send(gateway, ana, make_sale(notes="a"))

    await gateway.edit(marta, key, {"notes": "a"}, 1)

    assert len(await story(gateway, key)) == 1


async def test_the_command_lines_edits_are_the_operators(gateway: Gateway, ana: User) -> None:
    key = await send(gateway, ana, make_sale(notes="a"))

    await gateway.edit(OPERATOR, key, {"notes": "b"}, None)

    [_, entry] = await story(gateway, key)
    assert facts(entry) == ("edited", "cli", None, 1, 2)


async def test_a_correction_of_a_held_sale_is_an_edit_and_its_outcome(
    gateway: Gateway, ana: User, marta: User
) -> None:
    key = await send(gateway, ana, make_sale(customer_id=999))

    await gateway.edit(marta, key, dict(as_parsed({"customer_id": 5})[0]), 1)  # type: ignore[call-overload]

    [_, edited, judged] = await story(gateway, key)
    assert facts(edited)[:3] == ("edited", "manager", "marta")
    assert edited.detail == {"fields": ["customer_id"]}
    assert (judged.kind, judged.detail["result"]) == ("retried", "synced")


async def test_a_refused_edit_is_told_once(gateway: Gateway, ana: User) -> None:
    sale = make_sale()
    key = await send(gateway, ana, sale)
    wrong = {**sale, "items": [make_item(quantity="0")]}

    await send(gateway, ana, wrong)
    await send(gateway, ana, wrong)

    [_, entry] = await story(gateway, key)
    assert facts(entry) == ("refused", "user", "ana", 1, 1)
    assert entry.detail["error"] == "Item #0: quantity debe ser mayor a 0, recibido: 0"


async def test_what_a_resolution_said_stays(gateway: Gateway, ana: User, marta: User) -> None:
    sale = make_sale(notes="a")
    key = await send(gateway, ana, sale)
    await send(gateway, ana, {**sale, "notes": "b"})
    await send(gateway, ana, {**sale, "notes": "c"})
    await gateway.resolve(ana, key, Request("manual", notes="que lo vea Marta"))
    await gateway.resolve(marta, key, Request("client_wins", notes="vale"))

    entries = await story(gateway, key)

    assert [facts(entry) for entry in entries[2:]] == [
        ("conflict", "user", "ana", 2, 2),
        ("conflict", "user", "ana", 2, 2),
        ("resolved", "manager", "marta", 2, 3),
    ]
    assert entries[2].detail["code"] == "stale_version"
    assert entries[3].detail["notes"] == "que lo vea Marta"
    assert entries[4].detail == {"resolution": "client_wins", "notes": "vale"}


async def test_a_merge_is_told_as_one(store_url: str, clock: Clock) -> None:
    async with stopped_daemon(store_url, clock, Chance(), auto_merge=True) as merging:
        gateway = merging.gateway
        ana = (await gateway.add_user("ana", "cashier"))[0]
        sale = make_sale(notes="a")
        key = await send(gateway, ana, sale)
        await gateway.edit(OPERATOR, key, {"status": "ready"}, 1)

        await send(gateway, ana, {**sale, "notes": "b"})

        entries = await story(gateway, key)
    assert facts(entries[-1]) == ("merged", "user", "ana", 2, 3)


async def test_what_is_replayed_or_refused_whole_leaves_no_event(
    gateway: Gateway, ana: User
) -> None:
    sale = make_sale()
    key = await send(gateway, ana, sale)
    await send(gateway, ana, sale)
    await gateway.resolve(ana, key, Request("server_wins"))

    assert [entry.kind for entry in await story(gateway, key)] == ["created"]


async def test_versions_in_the_history_have_no_gap(
    gateway: Gateway, ana: User, marta: User
) -> None:
    sale = make_sale(notes="0")
    key = await send(gateway, ana, sale)
    for version in range(1, 6):
        if version % 2:
            await gateway.edit(marta, key, {"notes": str(version)}, version)
        else:
            await send(gateway, ana, {**sale, "notes": str(version), "version": version})

    entries = await story(gateway, key)

    assert [entry.from_version for entry in entries] == [None, 1, 2, 3, 4, 5]
    assert [entry.to_version for entry in entries] == [1, 2, 3, 4, 5, 6]
