"""What a test needs of its machine: lacking, it fails where nothing may be left out, else skips."""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest


def give_up(reason: str, *, required_by: str = "CI") -> NoReturn:
    """End the test: it fails in CI, and where the variable says 1; elsewhere it is skipped."""
    if os.environ.get("CI") == "true" or os.environ.get(required_by) == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def need_program(*names: str, package: str) -> Path:
    """Return the first of these programs on PATH, or give up; `package` is Debian's."""
    for name in names:
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    give_up(f"{names[0]} is not on PATH (on Debian: apt install {package})")


def need_root() -> None:
    """Give up unless the test runs as root."""
    if os.geteuid() != 0:
        give_up("it needs root")
