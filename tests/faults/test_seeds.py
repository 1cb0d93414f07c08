"""Tests of the tests: each of these defects, planted into a daemon, is caught by a scenario."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import pytest

from tests.faults import scenarios
from tests.faults.conftest import OpenShop
from tests.faults.oracle import Verdict
from tests.faults.scales import need
from tests.faults.seeds import SEEDS
from tests.faults.shops import Shop
from tests.store.databases import ON_SQLITE, run_sql

Scene = Callable[[Shop], Awaitable[Verdict]]


@dataclass(frozen=True)
class Catch:
    """The scenario that catches a defect, and what the oracle says of it then."""

    scene: Scene
    says: str


async def without_index(shop: Shop) -> Verdict:
    [[sql]] = await run_sql(shop.store_url, "SELECT sql FROM sqlite_master WHERE name = 'sales'")
    bare = sql.replace("CONSTRAINT uq_sales_local_id UNIQUE (local_id)", "CHECK (1)")
    assert bare != sql
    await run_sql(
        shop.store_url,
        "DROP TABLE sales",
        bare,
    )
    return await scenarios.undisturbed(shop)


CAUGHT_BY = {
    "answer before commit": Catch(partial(scenarios.killed_at_random, times=10), "lost: "),
    "no unique index on local_id": Catch(without_index, "unguarded: "),
    "swallowed COMMIT error": Catch(partial(scenarios.fsync_fails, once=False), "lost: "),
    "COMMIT error told per sale": Catch(
        partial(scenarios.fsync_fails, once=False), "success expected, told "
    ),
    "deferred BEGIN": Catch(partial(scenarios.locked_by_another, seconds=0.5), "refused: "),
    "unique per user": Catch(partial(scenarios.handed_over, sales=10), "success expected, told "),
    "number outside the transaction": Catch(
        partial(scenarios.fsync_fails, once=False), "numbers: "
    ),
    "refused payload not kept": Catch(scenarios.undisturbed, "lost: "),
    "replay compared with the present row only": Catch(
        scenarios.undisturbed, "success expected, told "
    ),
    "write not shielded from cancellation": Catch(
        partial(scenarios.answered_to_nobody, times=10), "dropped: "
    ),
    "no owner check in resolve": Catch(scenarios.foreign_is_missing, "foreign: "),
}


@ON_SQLITE
@pytest.mark.parametrize("seed", CAUGHT_BY)
async def test_the_defect_is_caught(shop_on: OpenShop, store_url: str, seed: str) -> None:
    need("strace", root=True)
    caught = CAUGHT_BY[seed]

    async with shop_on(store_url, seed=seed) as shop:
        verdict = await caught.scene(shop)

    assert any(finding.startswith(caught.says) for finding in verdict.findings), verdict


@ON_SQLITE
@pytest.mark.parametrize("seed", CAUGHT_BY)
async def test_without_the_defect_the_same_scenario_finds_nothing(
    shop_on: OpenShop, store_url: str, seed: str
) -> None:
    need("strace", root=True)
    if seed == "no unique index on local_id":
        caught = Catch(scenarios.undisturbed, "")
    else:
        caught = CAUGHT_BY[seed]

    async with shop_on(store_url) as shop:
        verdict = await caught.scene(shop)

    assert verdict.findings == []


def test_every_defect_has_its_test() -> None:
    assert {*CAUGHT_BY, "synchronous NORMAL"} == set(SEEDS)
