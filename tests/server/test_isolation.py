"""A cashier sees nothing of another's sales, by any door; a manager sees all."""

from collections.abc import Mapping

import pytest

from tests.factories import Json, make_item, make_sale, new_local_id
from tests.http import SYNC, Answer, Daemon, Till

SECRET = "nobody-else-reads-this"

# Each is uploaded by ana; what is secret in it must not come out to eva.
STATES = ("synced", "held", "conflict", "delivered")


async def ana_has(ana: Till, state: str) -> Json:
    """A sale of ana's in this state; its texts and amounts are hers alone."""
    item = make_item(unit_price="98765.43", product_id=17)
    sale = make_sale(notes=SECRET, items=[item], customer_id=8)
    if state == "held":
        sale["items"] = [make_item(product_id=777, unit_price="98765.43")]
    if state == "delivered":
        sale["status"] = "delivered"
    await ana.upload(sale)
    if state == "conflict":
        await ana.upload({**sale, "notes": f"{SECRET} too", "version": 9})
    return sale


def check_tells_nothing(answer: Answer) -> None:
    for word in (SECRET, "98765.43", "id=777", "ana"):
        assert word not in answer.text


def comparable(answer: Answer, key: object) -> tuple[int, str, Mapping[str, str]]:
    """What an answer says, but for the id that was asked for and the time of day."""
    headers = {k: v for k, v in answer.headers.items() if k not in {"Date", "Content-Length"}}
    return answer.status, answer.text.replace(str(key), "KEY"), headers


@pytest.mark.parametrize("state", STATES)
async def test_anothers_sale_answers_as_one_that_is_not_there(daemon: Daemon, state: str) -> None:
    ana, eva = await daemon.till("ana"), await daemon.till("eva")
    sale = await ana_has(ana, state)
    pairs = [(sale["local_id"], new_local_id()), (1, 2)]

    for foreign, missing in pairs:
        for path in (f"{SYNC}/status/{{}}/", f"{SYNC}/status/{{}}", "/api/v1/sales/{}/"):
            theirs = await eva.get(path.format(foreign))
            nobodys = await eva.get(path.format(missing))

            assert comparable(theirs, foreign) == comparable(nobodys, missing)
            assert theirs.status == 404
            check_tells_nothing(theirs)


@pytest.mark.parametrize("state", STATES)
async def test_anothers_sale_is_unknown_to_a_bulk_status(daemon: Daemon, state: str) -> None:
    ana, eva = await daemon.till("ana"), await daemon.till("eva")
    foreign, missing = (await ana_has(ana, state))["local_id"], new_local_id()

    theirs = await eva.post(f"{SYNC}/status/", {"local_ids": [foreign]})
    nobodys = await eva.post(f"{SYNC}/status/", {"local_ids": [missing]})

    assert comparable(theirs, foreign) == comparable(nobodys, missing)
    assert theirs.json["results"][0]["sync_status"] == "unknown"


@pytest.mark.parametrize("state", STATES)
async def test_pending_lists_nothing_of_anothers(daemon: Daemon, state: str) -> None:
    ana, eva = await daemon.till("ana"), await daemon.till("eva")
    await ana_has(ana, state)

    answers = [
        await eva.get(f"{SYNC}/pending/{query}")
        for query in ("", "?status=pending,error,conflict", "?limit=200", "?after_id=0")
    ]

    for answer in answers:
        assert answer.json["results"] == []
        assert (answer.json["count"], answer.json["total"]) == (0, 0)


@pytest.mark.parametrize("state", STATES)
async def test_an_upload_under_anothers_local_id_tells_nothing_of_it(
    daemon: Daemon, state: str
) -> None:
    ana, eva = await daemon.till("ana"), await daemon.till("eva")
    sale = await ana_has(ana, state)
    shown = await ana.sale(1)
    tries: list[Json] = [
        make_sale(local_id=sale["local_id"]),
        make_sale(local_id=sale["local_id"], version=9),
        {"local_id": sale["local_id"]},
        {**sale, "notes": "guessed"},
    ]

    for sent in tries:
        answer = await eva.upload(sent)

        assert answer.result["code"] == "local_id_in_use"
        assert "VTA" not in answer.text
        assert answer.result["sale_id"] is None
        check_tells_nothing(answer)
    assert await ana.sale(1) == shown


@pytest.mark.parametrize("state", STATES)
async def test_the_same_sale_sent_by_the_next_cashier_tells_id_number_and_state_alone(
    daemon: Daemon, state: str
) -> None:
    ana, eva = await daemon.till("ana"), await daemon.till("eva")
    sale = await ana_has(ana, state)
    shown = await ana.sale(1)

    result = (await eva.upload(sale)).result

    assert result["sale_id"] == 1
    assert result["sale_number"] == shown["sale_number"]
    assert "conflict_data" not in result
    assert "sale" not in result
    assert (result["status"], result["message"]) == (
        ("error", None) if state == "held" else ("success", "Sale already synced")
    )
    assert await ana.sale(1) == shown
    assert (await eva.get("/api/v1/sales/1/")).status == 404


async def test_a_row_10_content_is_not_shown_to_another(daemon: Daemon) -> None:
    ana, eva = await daemon.till("ana"), await daemon.till("eva")
    sale = await ana_has(ana, "conflict")
    await ana.upload(sale)
    parked = {**sale, "notes": f"{SECRET} too", "version": 9}
    assert (await ana.upload(parked)).result["message"].startswith("Conflict already resolved")

    answer = await eva.upload(parked)

    assert answer.result["message"] == "Sale already synced"
    check_tells_nothing(answer)


async def test_ids_of_others_leave_no_trace_in_a_tills_own_lists(daemon: Daemon) -> None:
    ana, eva = await daemon.till("ana"), await daemon.till("eva")
    await ana_has(ana, "held")
    mine = make_sale(items=[make_item(quantity=0)])
    await eva.upload(mine)

    answer = await eva.get(f"{SYNC}/pending/")

    assert [row["local_id"] for row in answer.json["results"]] == [mine["local_id"]]
    assert (answer.json["count"], answer.json["total"]) == (1, 1)
    check_tells_nothing(answer)


@pytest.mark.parametrize("state", STATES)
async def test_a_manager_sees_all(daemon: Daemon, state: str) -> None:
    ana, marta = await daemon.till("ana"), await daemon.till("marta", "manager")
    sale = await ana_has(ana, state)

    for key in (1, sale["local_id"]):
        assert await marta.status(key) == await ana.status(key)
        assert await marta.sale(key) == await ana.sale(key)
    bulk = await marta.post(f"{SYNC}/status/", {"local_ids": [sale["local_id"]]})
    assert bulk.json["results"] == [await ana.status(1)]
    listed = await marta.get(f"{SYNC}/pending/?user=all&status=pending,error,conflict")
    assert listed.json["total"] == (1 if state in {"held", "conflict"} else 0)


async def test_a_managers_own_sales_are_hidden_from_a_cashier(daemon: Daemon) -> None:
    ana, marta = await daemon.till("ana"), await daemon.till("marta", "manager")
    await marta.upload(make_sale(notes=SECRET))

    answer = await ana.get("/api/v1/sales/1/")

    assert answer.status == 404
    check_tells_nothing(answer)


async def test_a_user_that_is_disabled_keeps_its_sales_to_itself(daemon: Daemon) -> None:
    ana, eva = await daemon.till("ana"), await daemon.till("eva")
    await ana_has(ana, "synced")
    await daemon.gateway.set_user_active("ana", is_active=False)

    assert (await eva.get("/api/v1/sales/1/")).status == 404
    assert (await ana.get("/api/v1/sales/1/")).status == 401
