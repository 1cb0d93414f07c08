"""How much is measured: `full` for docs/speed.md, `quick` to see that it all works."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """`seconds` a load, `rounds` of each; sales stored, of which `held` are pending."""

    rounds: int
    seconds: float
    transactions: int
    held: int
    few: int
    many: int
    slow_milliseconds: tuple[int, ...]
    memory_minutes: float


FULL = Scale(
    rounds=3,
    seconds=3,
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
    transactions=2,
    held=60,
    few=200,
    many=400,
    slow_milliseconds=(2,),
    memory_minutes=0.005,
)
