"""How much is measured: `full` for docs/speed.md, `quick` to see that it all works."""

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True)
class Scale:
    """`seconds` a load, `rounds` of each; sales stored, of which `held` are pending.

    What is compared with its like from turn to turn has `turns` of `turn_seconds` instead.
    """

    rounds: int
    seconds: float
    turns: int
    turn_seconds: float
    transactions: int
    held: int
    few: int
    many: int
    slow_milliseconds: tuple[int, ...]
    memory_minutes: float

    def in_turns(self) -> Self:
        """Return the scale of what is compared: of many short turns a few may be disturbed."""
        return replace(self, rounds=self.turns, seconds=self.turn_seconds)


FULL = Scale(
    rounds=3,
    seconds=3,
    # As many first as second, and of four as many at each place.
    turns=8,
    turn_seconds=1,
    transactions=40,
    held=1_000,
    few=10_000,
    many=1_000_000,
    slow_milliseconds=(2, 8),
    memory_minutes=10,
)
QUICK = Scale(
    rounds=1,
    seconds=0.05,
    turns=1,
    turn_seconds=0.05,
    transactions=2,
    held=60,
    few=200,
    many=400,
    slow_milliseconds=(2,),
    memory_minutes=0.005,
)
