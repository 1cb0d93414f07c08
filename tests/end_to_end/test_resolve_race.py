"""Two managers decide one conflict at the same instant: one wins, the other is told how it is."""

import asyncio
from contextlib import AsyncExitStack
from itertools import cycle

from tests.conftest import StartDaemon
from tests.factories import Json, make_sale
from tests.http import SYNC, Answer, Till

TRIES = 100

PAIRS: list[tuple[Json, Json]] = [
    ({"resolution": "server_wins"}, {"resolution": "client_wins"}),
    (
        {"resolution": "client_wins"},
        {"resolution": "manual", "client_data": {"notes": "m"}},
    ),
    (
        {"resolution": "manual", "client_data": {"notes": "m"}},
        {"resolution": "server_wins", "notes": "lo del servidor"},
    ),
    (
        {"resolution": "client_wins", "client_data": {"status": "ready"}},
        {"resolution": "client_wins", "client_data": {"status": "cancelled"}},
    ),
]


async def conflicts(till: Till) -> list[Json]:
    """Return the results of as many conflicts as there are tries."""
    sales = [make_sale(notes="a") for _ in range(TRIES)]
    await till.upload(*sales)
    await till.upload(*({**sale, "notes": "b"} for sale in sales))
    parked = await till.upload(*({**sale, "notes": "c"} for sale in sales))
    results: list[Json] = parked.json["results"]
    assert {result["status"] for result in results} == {"conflict"}
    return results


async def test_one_of_two_decisions_wins_and_the_other_sees_it(
    start_daemon: StartDaemon, store_url: str
) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(start_daemon())
        # One gateway alone has an SQLite file; on Postgres each manager asks another one.
        is_shared = store_url.startswith("postgresql")
        second = await stack.enter_async_context(start_daemon()) if is_shared else first
        ana = await first.till("ana")
        marta = await first.till("marta", "manager")
        rosa = second.till_of((await first.till("rosa", "manager")).token)

        async def race(sale: Json, ours: Json, theirs: Json) -> tuple[Answer, Answer, Json]:
            path, key = f"{SYNC}/resolve/", {"sale_id": sale["sale_id"]}
            answers = await asyncio.gather(
                marta.post(path, {**key, **ours}), rosa.post(path, {**key, **theirs})
            )
            winner, loser = sorted(answers, key=lambda answer: answer.status)
            return winner, loser, await ana.sale(sale["sale_id"])

        for sale, (ours, theirs) in zip(await conflicts(ana), cycle(PAIRS), strict=False):
            winner, loser, present = await race(sale, ours, theirs)

            assert (winner.status, loser.status) == (200, 409)
            assert loser.json["code"] == "not_in_conflict"
            assert loser.json["sale"] == winner.json["sale"]
            assert present["sync_status"] == "synced"
            for name in ("version", "notes", "status", "conflict_resolution"):
                assert present[name] == winner.json["sale"][name]


async def test_the_same_decision_sent_twice_at_once_is_taken_once(
    start_daemon: StartDaemon,
) -> None:
    async with start_daemon() as daemon:
        ana = await daemon.till("ana")
        for sale in (await conflicts(ana))[:25]:
            body = {"sale_id": sale["sale_id"], "resolution": "client_wins", "expected_version": 2}

            answers = await asyncio.gather(*(ana.post(f"{SYNC}/resolve/", body) for _ in range(3)))

            assert {answer.status for answer in answers} == {200}
            assert {answer.text for answer in answers} == {answers[0].text}
            assert answers[0].json["sale"]["version"] == 3


async def test_a_decision_and_an_upload_at_once_lose_neither_the_sale_nor_its_state(
    start_daemon: StartDaemon,
) -> None:
    async with start_daemon() as daemon:
        ana, marta = await daemon.till("ana"), await daemon.till("marta", "manager")
        for sale in (await conflicts(ana))[:25]:
            body = {"sale_id": sale["sale_id"], "resolution": "server_wins"}
            upload = make_sale(local_id=sale["local_id"], notes="d", version=2)

            resolved, uploaded = await asyncio.gather(
                marta.post(f"{SYNC}/resolve/", body), ana.upload(upload)
            )

            present = await ana.sale(sale["sale_id"])
            assert uploaded.result["message"] == "Sale updated"
            assert resolved.status in {200, 409}
            assert (present["sync_status"], present["version"]) == ("synced", 3)
            expected = "server_wins" if resolved.status == 200 else "client_wins"
            assert present["conflict_resolution"] == expected
