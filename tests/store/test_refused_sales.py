"""A sale that the database itself refuses: kept, told, and no other one lost for it."""

from typing import Any

import pytest

from bulonera_sync.config import Settings
from bulonera_sync.errors import StoreUnavailableError
from bulonera_sync.gateway import Gateway, open_gateway
from bulonera_sync.outcomes import ConflictFound, Failure, Outcome, Success
from bulonera_sync.sales import User
from tests.factories import as_parsed, make_sale, new_local_id
from tests.store.databases import is_sqlite, run_sql


async def refuse_rows(url: str, table: str, condition: str, *, moment: str = "INSERT") -> None:
    """Make the database refuse the rows for which the condition, of NEW, holds."""
    if is_sqlite(url):
        await run_sql(
            url,
            f"CREATE TRIGGER refuse_{table}_{moment} BEFORE {moment} ON {table} "
            f"WHEN {condition} BEGIN SELECT RAISE(ABORT, 'not this one'); END",
        )
        return
    await run_sql(
        url,
        "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'not this one'; END $$",
        f"CREATE TRIGGER refuse_{table}_{moment} BEFORE {moment} ON {table} "
        f"FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION refuse()",
    )


def told(outcome: Outcome) -> str:
    match outcome.verdict:
        case Failure(problems):
            return problems[0].code
        case Success():
            return "success"
        case ConflictFound():
            return "conflict"


async def upload(gateway: Gateway, user: User, *sold: dict[str, Any]) -> list[Outcome]:
    return await gateway.upload(user, as_parsed(*sold))


@pytest.fixture
async def another(gateway: Gateway) -> User:
    return (await gateway.add_user("beto", "cashier"))[0]


async def test_the_others_are_stored_and_the_one_is_kept_in_error(
    gateway: Gateway, cashier: User, store_url: str
) -> None:
    await refuse_rows(store_url, "sales", "NEW.notes = 'maldita'")
    sold = [make_sale(notes=notes) for notes in ("uno", "maldita", "tres")]

    outcomes = await upload(gateway, cashier, *sold)

    assert [told(each) for each in outcomes] == ["success", "not_stored", "success"]
    assert outcomes[1].sale_id is not None
    kept = (await gateway.find_sale(cashier, outcomes[1].sale_id)).sale
    assert (kept.sync_status, kept.problems[0].code) == ("error", "not_stored")
    assert kept.payload is not None
    assert '"notes":"maldita"' in kept.payload


async def test_numbers_have_no_gap_and_no_double(
    gateway: Gateway, cashier: User, store_url: str
) -> None:
    await refuse_rows(store_url, "sales", "NEW.customer_id = 6")
    sold = [make_sale(customer_id=6 if place % 3 == 1 else 5) for place in range(10)]

    outcomes = await upload(gateway, cashier, *sold)
    [after] = await upload(gateway, cashier, make_sale())

    numbers = [int(str(each.sale_number).rpartition("-")[2]) for each in (*outcomes, after)]
    assert numbers == list(range(1, 12))
    assert [each.sale_id for each in outcomes] == sorted(each.sale_id or 0 for each in outcomes)


async def test_it_is_no_more_retryable_by_itself(
    gateway: Gateway, cashier: User, store_url: str
) -> None:
    await refuse_rows(store_url, "sales", "NEW.notes = 'maldita'")

    [outcome] = await upload(gateway, cashier, make_sale(notes="maldita"))

    assert isinstance(outcome.verdict, Failure)
    assert not outcome.verdict.is_retryable
    assert outcome.sale_id is not None
    kept = (await gateway.find_sale(cashier, outcome.sale_id)).sale
    assert (kept.next_attempt_at, kept.is_dead) == (None, False)


async def test_it_is_accepted_once_the_database_takes_it(
    gateway: Gateway, cashier: User, store_url: str
) -> None:
    await refuse_rows(store_url, "sales", "NEW.notes = 'maldita'", moment="UPDATE")
    await refuse_rows(store_url, "sales", "NEW.notes = 'maldita'")
    sale = make_sale(notes="maldita")
    [refused] = await upload(gateway, cashier, sale)
    drop = "DROP TRIGGER refuse_sales_" if is_sqlite(store_url) else None
    for moment in ("INSERT", "UPDATE"):
        await run_sql(
            store_url,
            f"{drop}{moment}" if drop else f"DROP TRIGGER refuse_sales_{moment} ON sales",
        )

    [accepted] = await upload(gateway, cashier, sale)

    assert [told(each) for each in (refused, accepted)] == ["not_stored", "success"]
    assert accepted.sale_id == refused.sale_id
    assert accepted.sale_number == refused.sale_number


async def test_an_update_that_is_refused_leaves_the_sale_as_it_was(
    gateway: Gateway, cashier: User, store_url: str
) -> None:
    sale = make_sale(notes="antes")
    await upload(gateway, cashier, sale, make_sale())
    await refuse_rows(store_url, "sales", "NEW.notes = 'maldita'", moment="UPDATE")

    outcomes = await upload(gateway, cashier, {**sale, "notes": "maldita"}, make_sale())

    assert [told(each) for each in outcomes] == ["not_stored", "success"]
    stored = (await gateway.find_sale(cashier, sale["local_id"])).sale
    assert stored.content is not None
    assert (stored.content.notes, stored.version, stored.sync_status) == ("antes", 1, "synced")


async def test_items_that_are_refused_leave_no_half_a_sale(
    gateway: Gateway, cashier: User, store_url: str
) -> None:
    await refuse_rows(store_url, "sale_items", "NEW.line = 1")
    two_lines = make_sale()
    two_lines["items"] *= 2

    outcomes = await upload(gateway, cashier, make_sale(), two_lines, make_sale())

    assert [told(each) for each in outcomes] == ["success", "not_stored", "success"]
    assert await run_sql(store_url, "SELECT count(*), max(line) FROM sale_items") == [(2, 0)]


async def test_one_that_can_not_even_be_kept_in_error_goes_to_quarantine(
    gateway: Gateway, cashier: User, store_url: str
) -> None:
    cursed = new_local_id()
    await refuse_rows(store_url, "sales", f"NEW.local_id = '{cursed}'")

    outcomes = await upload(gateway, cashier, make_sale(local_id=cursed), make_sale())

    assert [told(each) for each in outcomes] == ["not_stored", "success"]
    assert outcomes[0].sale_id is None
    [(payload,)] = await run_sql(store_url, "SELECT payload FROM quarantine")
    assert cursed in payload


async def test_two_of_one_local_id_are_judged_in_order_all_the_same(
    gateway: Gateway, cashier: User, store_url: str
) -> None:
    await refuse_rows(store_url, "sales", "NEW.notes = 'maldita'")
    twice = make_sale(notes="uno")

    outcomes = await upload(
        gateway, cashier, twice, make_sale(notes="maldita"), {**twice, "notes": "dos"}, twice
    )

    assert [told(each) for each in outcomes] == ["success", "not_stored", "success", "success"]
    assert [each.version for each in outcomes] == [1, 1, 2, 2]
    stored = (await gateway.find_sale(cashier, twice["local_id"])).sale
    assert stored.content is not None
    assert stored.content.notes == "dos"


@pytest.mark.parametrize("customer_id", [5, 777], ids=["accepted", "held"])
async def test_a_strangers_words_that_are_refused_touch_and_show_nothing(
    gateway: Gateway, cashier: User, another: User, store_url: str, customer_id: int
) -> None:
    sale = make_sale(customer_id=customer_id)
    await upload(gateway, cashier, sale)
    before = (await gateway.find_sale(cashier, sale["local_id"])).sale
    await refuse_rows(store_url, "copies", "NEW.kind = 'foreign'")

    [outcome] = await upload(gateway, another, {**sale, "notes": "ajena", "customer_id": 6})

    assert told(outcome) == "local_id_in_use"
    assert (outcome.sale_id, outcome.sale_number, outcome.version) == (None, None, None)
    assert (await gateway.find_sale(cashier, sale["local_id"])).sale == before


async def test_a_strangers_words_leave_what_the_owner_waits_for(
    gateway: Gateway, cashier: User, another: User, store_url: str
) -> None:
    sale = make_sale(customer_id=777)
    await upload(gateway, cashier, sale)

    await upload(gateway, another, {**sale, "customer_id": 6})

    waits = await run_sql(store_url, "SELECT kind, missing_id FROM waits")
    assert waits == [("customer", 777)]


@pytest.mark.parametrize("customer_id", [777, 5], ids=["wrong", "right"])
async def test_what_a_sale_waits_for_follows_its_last_payload(
    gateway: Gateway, cashier: User, store_url: str, customer_id: int
) -> None:
    sale = make_sale(customer_id=776)
    await upload(gateway, cashier, sale)

    await upload(gateway, cashier, {**sale, "customer_id": customer_id})

    waits = await run_sql(store_url, "SELECT missing_id FROM waits")
    assert waits == ([(777,)] if customer_id == 777 else [])


async def test_k_bad_ones_of_n_leave_the_rest(gateway: Gateway, cashier: User) -> None:
    sold = [
        make_sale(),
        make_sale(items=[]),
        {"local_id": "x"},
        make_sale(notes="a\0b"),
        make_sale(notes="\ud800"),
        make_sale(customer_id=2**63),
        make_sale(customer_id=10**39),
        make_sale(version=2**31 - 1),
        make_sale(notes="\N{GRINNING FACE}" * 2_000),
        make_sale(created_at="0001-01-02T00:00:00Z"),
        make_sale(created_at="9999-12-30T00:00:00Z"),
    ]

    outcomes = await upload(gateway, cashier, *sold)

    good = [told(each) == "success" for each in outcomes]
    assert good == [True, *[False] * 6, True, True, True, True]
    assert [each.index for each in outcomes] == list(range(len(sold)))


async def test_what_is_stored_is_what_was_said(gateway: Gateway, cashier: User) -> None:
    sale = make_sale(notes="\u202eñ\N{GRINNING FACE}\n\t\"'; DROP TABLE sales;--")

    [outcome] = await upload(gateway, cashier, sale)

    assert outcome.sale_id is not None
    stored = (await gateway.find_sale(cashier, outcome.sale_id)).sale
    assert stored.content is not None
    assert stored.content.notes == sale["notes"]
    assert stored.fingerprints.content == stored.content.fingerprint()


async def test_sales_whose_every_way_is_refused_are_kept_in_quarantine(
    gateway: Gateway, cashier: User, store_url: str
) -> None:
    await refuse_rows(store_url, "events", "NEW.kind <> ''")

    outcomes = await upload(gateway, cashier, make_sale(), make_sale())

    # Without its event no sale is stored; quarantine needs none.
    assert [told(each) for each in outcomes] == ["not_stored", "not_stored"]
    assert await run_sql(store_url, "SELECT count(*) FROM sales") == [(0,)]
    assert await run_sql(store_url, "SELECT count(*) FROM quarantine") == [(2,)]


async def test_a_failed_commit_of_an_upload_is_unknown_and_its_replay_is_taken_once(
    settings: Settings, gateway: Gateway, cashier: User, store_url: str
) -> None:
    await run_sql(
        store_url,
        "CREATE TABLE strict (id INTEGER PRIMARY KEY, "
        "sale BIGINT REFERENCES strict (id) DEFERRABLE INITIALLY DEFERRED)",
    )
    await _on_each_sale(store_url, "INSERT INTO strict VALUES (NEW.id, -1)")
    sale = make_sale()

    async with open_gateway(settings) as other:
        with pytest.raises(StoreUnavailableError):
            await upload(other, cashier, sale)
        await _on_each_sale(store_url, None)
        first, second = [(await upload(other, cashier, sale))[0] for _ in range(2)]

    assert [told(first), told(second)] == ["success", "success"]
    assert first.sale_id == second.sale_id
    assert str(first.sale_number).endswith("-00001")
    assert isinstance(first.verdict, Success)
    assert await run_sql(store_url, "SELECT count(*) FROM sales") == [(1,)]


async def _on_each_sale(url: str, statement: str | None) -> None:
    """Have the database run a statement after each new sale, or no more."""
    if is_sqlite(url):
        await run_sql(url, "DROP TRIGGER IF EXISTS each_sale")
        if statement:
            await run_sql(
                url,
                f"CREATE TRIGGER each_sale AFTER INSERT ON sales BEGIN {statement}; END",
            )
        return
    await run_sql(url, "DROP TRIGGER IF EXISTS each_sale ON sales")
    if statement:
        await run_sql(
            url,
            "CREATE OR REPLACE FUNCTION each_sale() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN {statement}; RETURN NULL; END $$",
            "CREATE TRIGGER each_sale AFTER INSERT ON sales "
            "FOR EACH ROW EXECUTE FUNCTION each_sale()",
        )
