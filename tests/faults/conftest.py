"""What the fault tests share. They run by `make faults` alone: they take minutes, and root."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.faults.daemons import Zygote
from tests.faults.scales import SCALE_VARIABLE
from tests.faults.shops import Shop, open_shop

collect_ignore_glob = [] if SCALE_VARIABLE in os.environ else ["test_*.py"]


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    started = Zygote()
    yield started
    started.close()


OpenShop = Callable[..., AbstractAsyncContextManager[Shop]]


@pytest.fixture
def shop_on(zygote: Zygote, tmp_path: Path) -> OpenShop:
    """Open a shop on a database, with a seeded defect or without."""

    def on(store_url: str, **said: object) -> AbstractAsyncContextManager[Shop]:
        return open_shop(zygote, tmp_path, store_url, **said)  # type: ignore[arg-type]

    return on


@pytest.fixture
async def shop(shop_on: OpenShop, store_url: str) -> AsyncIterator[Shop]:
    async with shop_on(store_url) as opened:
        yield opened
