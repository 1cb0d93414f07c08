"""What was measured: each figure once a round, told by its median and spread."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks.clients import Load


class Figures:
    """Figures of one engine by name, one of each a round; names say what, and where it matters how.

    A load called `x` leaves `x p50` and `x p99` in seconds, `x rate` in requests and `x sales` in
    accepted sales a second, and `x cpu`: the daemon's seconds a sale, or a request without any.
    """

    def __init__(self, rounds: Mapping[str, Sequence[float]] | None = None) -> None:
        self._rounds: defaultdict[str, list[float]] = defaultdict(list)
        for name, values in (rounds or {}).items():
            self._rounds[name] += values

    def add(self, name: str, value: float) -> None:
        self._rounds[name].append(value)

    def add_load(self, name: str, load: Load) -> None:
        self.add(f"{name} p50", load.p50)
        self.add(f"{name} p99", load.p99)
        self.add(f"{name} rate", load.requests_per_second)
        self.add(f"{name} busy", load.busy_seconds / load.seconds)
        self.add(f"{name} cpu", load.served_seconds_each)
        if load.uploaded:
            self.add(f"{name} sales", load.sales_per_second)
            self.add(f"{name} accepted", load.accepted / load.uploaded)

    def __getitem__(self, name: str) -> float:
        """Return the median of the rounds; raises `KeyError` for what was not measured."""
        return median(self.rounds(name))

    def rounds(self, name: str) -> Sequence[float]:
        if name not in self._rounds:
            raise KeyError(name)
        return self._rounds[name]

    def document(self) -> Mapping[str, Sequence[float]]:
        return {name: [float(f"{v:.6g}") for v in values] for name, values in self._rounds.items()}


def ratios_of(ours: Sequence[float], theirs: Sequence[float]) -> Sequence[float]:
    """Return ours / theirs of each round: what disturbs a round disturbs both."""
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]
