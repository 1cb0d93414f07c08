"""How much is tried: `quick` inside CI, `long` for a release; what a machine must have for it."""

import os
import shutil
from pathlib import Path

from tests.needs import give_up

SCALE_VARIABLE = "FAULTS_SCALE"
REQUIRE_VARIABLE = "FAULTS_REQUIRED"

IS_LONG = os.environ.get(SCALE_VARIABLE) == "long"


def tries(quick: int, long: int) -> int:
    """Return how often a fault is tried at this scale."""
    return long if IS_LONG else quick


def need(*programs: str, root: bool = False, loop: bool = False) -> None:
    """Skip the test where the machine lacks something, or fail it where CI requires all of it."""
    lacking = [f"{name} is not installed" for name in programs if not shutil.which(name)]
    if root and os.geteuid() != 0:
        lacking.append("it needs root")
    if loop and not Path("/dev/loop-control").exists():
        lacking.append("it needs a loop device")
    if not lacking:
        return
    give_up(f"SKIPPED: {', '.join(lacking)}", required_by=REQUIRE_VARIABLE)
