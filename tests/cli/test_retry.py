"""`retry`, on both engines: what is queued, what is not and why."""

import asyncio
from collections.abc import Iterable

import pytest

from bulonera_sync.sales import User
from tests.cli.conftest import Run
from tests.cli.shops import Shop, is_inert, shop
from tests.factories import make_sale, new_local_id
from tests.http import Daemon

__all__ = ["shop"]


@pytest.fixture
def ana(shop: Shop) -> User:
    return shop.user("ana")


def states(run: Run, keys: Iterable[object]) -> list[str]:
    return [run("show", key, "--json").json["sync_status"] for key in keys]


def test_sales_are_queued_by_id_number_and_local_id(run: Run, shop: Shop, ana: User) -> None:
    sales = [make_sale(customer_id=999) for _ in range(3)]
    first, second, third = shop.upload(ana, *sales)

    answer = run(
        "retry", first.sale_id, second.sale_number, sales[2]["local_id"].upper(), "--json"
    ).json

    assert answer == {
        "message": "Retry queued successfully",
        "processed": 3,
        "results": [
            {
                "sale_id": outcome.sale_id,
                "sale_number": outcome.sale_number,
                "local_id": sale["local_id"],
                "status": "queued",
                "attempt": 2,
            }
            for outcome, sale in zip((first, second, third), sales, strict=True)
        ],
    }
    assert states(run, (first.sale_id, second.sale_id, third.sale_id)) == ["pending"] * 3


def test_what_is_not_queued_says_why(run: Run, shop: Shop, ana: User) -> None:
    [synced] = shop.upload(ana, make_sale())
    conflict = shop.conflict(ana, till={"notes": "b"})
    unseen = new_local_id()
    names = (synced.sale_id, conflict.sale_number, "VTA-2026-99999", unseen, 99)

    as_text, as_json = run("retry", *names), run("retry", *names, "--json").json

    assert (as_json["message"], as_json["processed"]) == ("Nothing to retry", 0)
    rows = as_json["results"]
    assert [row["status"] for row in rows[:2]] == ["already_synced", "conflict"]
    assert rows[2:] == [
        {"sale_number": "VTA-2026-99999", "status": "not_found"},
        {"local_id": unseen, "status": "not_found"},
        {"sale_id": 99, "status": "not_found"},
    ]
    assert as_text.code == 0
    assert "Nothing was queued." in as_text.out
    assert f"{synced.sale_number} is synced already." in as_text.out
    assert f"bulonera-sync resolve {conflict.sale_number}" in as_text.out
    assert "VTA-2026-99999 is no sale here." in as_text.out
    assert "daemon" not in as_text.out


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_none_found_exits_with_1(run: Run, options: tuple[str, ...]) -> None:
    ran = run("retry", "7", "\x1b[2J", "9" * 40, *options)

    assert ran.code == 1
    assert "no such sale: 7" in ran.error
    assert is_inert(ran.err)


def test_all_queues_every_error_and_nothing_else(
    run: Run, shop: Shop, ana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulonera_sync.cli.retries.AT_ONCE", 4)
    held = shop.upload(ana, *(make_sale(customer_id=999) for _ in range(12)))
    shop.upload(ana, make_sale())
    shop.conflict(ana, till={"notes": "b"})

    ran = run("retry", "--all")

    assert "Queued 12 sales: " in ran.out
    assert f"{held[9].sale_number} and 2 more." in ran.out
    assert run("pending", "--status", "pending", "--json").json["total"] == 12
    assert run("pending", "--status", "error", "--json").json["total"] == 0


def test_all_with_nothing_in_error_is_no_failure(run: Run) -> None:
    as_text, as_json = run("retry", "--all"), run("retry", "--all", "--json")

    assert (as_text.code, as_json.code) == (0, 0)
    assert as_text.out == "Nothing to retry: no sale is in error.\n"
    assert as_json.json == {"message": "Nothing to retry", "processed": 0, "results": []}


@pytest.mark.parametrize("arguments", [(), ("7", "--all")])
def test_sales_or_all_of_them_must_be_said(run: Run, arguments: tuple[str, ...]) -> None:
    ran = run("retry", *arguments)

    assert ran.code == 2
    assert "--all" in ran.error


def test_without_a_daemon_it_says_that_they_wait(run: Run, shop: Shop, ana: User) -> None:
    shop.upload(ana, make_sale(customer_id=999))

    assert "No daemon answers at http://127.0.0.1:1" in run("retry", "--all").out


async def test_with_a_daemon_it_says_within_seconds(
    daemon: Daemon, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULONERA_SERVER__PORT", daemon.address.rpartition(":")[2])
    ana = await daemon.till("ana")
    await ana.upload(make_sale(customer_id=999))

    ran = await asyncio.to_thread(run, "retry", "--all")

    assert "The daemon judges them within seconds" in ran.out
