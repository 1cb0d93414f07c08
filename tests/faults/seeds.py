"""Defects that the tests plant into a daemon, to see that they are caught.

No configuration can switch one on: a daemon has one only when `zygote` was told to plant it.
"""

import asyncio
from collections.abc import Callable
from typing import Any


def plant(name: str) -> None:
    """Plant the defect of this name into the process."""
    SEEDS[name]()


SEEDS: dict[str, Callable[[], None]] = {}
