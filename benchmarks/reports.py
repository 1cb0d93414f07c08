"""What was measured, as a page: docs/speed.md is written from docs/speed.json by this alone."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.aims import AIMS, Aim
from benchmarks.figures import Figures, ratios_of
from benchmarks.rooms import REST, ROOMS

ENGINES = {"sqlite": "SQLite", "postgres": "Postgres"}
_TOP = 12


_HEAD = """# How fast it is

Written by `make bench ARGS="--json docs/speed.json --plots docs --page docs/speed.md"`; nothing
here is typed by hand. A sale has three items; the catalogue has 20,000 products and 2,000
customers; log, throttle, foreign keys and `synchronous=FULL` (`synchronous_commit=on`) are on; it
is one process. The tills' process and, on Postgres, the server's have the same cores.

**The ratios are what counts.** Each stands beside bare figures of the same rounds, interleaved: the
bare engine writes the same rows by the raw driver (COPY on Postgres), the counters' and the user's
too, to a log file that is there already; the empty handler is aiohttp with the gateway's runner and
loop. Bold misses its aim. What was tried and did not pay is in
[decisions/0021](decisions/0021-where-the-time-of-an-upload-goes.md).
"""


def page(document: Mapping[str, Any]) -> str:
    """Return the figures as a page: ratios beside their aims, then this machine's own figures."""
    figures = {name: Figures(rounds) for name, rounds in document["figures"].items()}
    lines = [
        _HEAD,
        *([document["note"], ""] if document.get("note") else []),
        "## Ratios",
        "",
        *_ratios(figures),
        "",
    ]
    lines += [
        f"![{ENGINES[name]}: ratios beside their aims](speed-{name}.svg)\n" for name in figures
    ]
    lines += ["## What the log and the throttle cost", "", *_switched(figures), ""]
    lines += ["## One machine's figures", "", f"{document['machine']}. Medians of the rounds, and "]
    lines[-1] += "between which values they lay; on another machine they are others."
    lines += ["", *_absolutes(figures)]
    # Those of former days say of some waiting that it is work.
    profiles = {name: each for name, each in document["profiles"].items() if "rooms" in each}
    if profiles:
        lines += ["", "## Where the time goes", "", *_rooms(profiles)]
        for name, samples in profiles.items():
            lines += ["", f"### {name}: functions", "", *_functions(samples)]
    return "\n".join(lines) + "\n"


def _ratios(figures: Mapping[str, Figures]) -> Iterator[str]:
    names = [name for name in ENGINES if name in figures]
    head = [f"{ENGINES[name]} | aim" for name in names]
    yield f"| workload | ratio | {' | '.join(head)} |"
    yield "|---|---|" + "---:|---|" * len(names)
    for aim in AIMS:
        cells = [_beside_aim(aim, name, figures[name]) for name in names]
        yield f"| {aim.workload} | {aim.of} | {' | '.join(cells)} |"


def _beside_aim(aim: Aim, engine: str, figures: Figures) -> str:
    ratio = ratio_of(aim, figures)
    sign = "≤" if aim.is_most else "≥"
    aimed = f"{sign} {shown(aim, aim.limit(engine))}"
    if ratio is None:
        return f"- | {aimed}"
    ours = shown(aim, ratio)
    return f"{ours if aim.is_met(engine, ratio) else f'**{ours}**'} | {aimed}"


def ratio_of(aim: Aim, figures: Figures) -> float | None:
    """Return the ratio, or None where a figure of it was not measured."""
    try:
        return aim.ratio(figures)
    except KeyError:
        return None


def shown(aim: Aim, ratio: float) -> str:
    if aim.of.startswith(("of ", "accepted")):
        return f"{ratio * 100:.0f}%"
    return f"{ratio:.0f}" if ratio >= 100 else f"{ratio:.2f}"


_OFF = ("log off", "throttle off", "both off")
# Whose figure, and whether more of it is better.
_SWITCHED_ROWS = (
    ("upload of 1, one client, p50", "upload 1, {} p50", False),
    ("upload of 10, 16 clients, sales/s", "upload 10 x16, {} sales", True),
    ("upload of 100, 16 clients, sales/s", "upload 100 x16, {} sales", True),
    ("upload of 1, CPU a sale", "upload 1, {} cpu", False),
    ("upload of 10, 16 clients, CPU a sale", "upload 10 x16, {} cpu", False),
    ("upload of 100, 16 clients, CPU a sale", "upload 100 x16, {} cpu", False),
)


def _switched(figures: Mapping[str, Figures]) -> Iterator[str]:
    """Yield a table: with something off, the ratio to all on and what being on costs."""
    names = [name for name in ENGINES if name in figures]
    yield "Each beside the same with all on, turn by turn, on a database of its own; in brackets"
    yield 'what that costs. Off is `level = "CRITICAL"`, and `throttle = "off"`.'
    yield ""
    yield f"| workload | | {' | '.join(ENGINES[name] for name in names)} |"
    yield "|---|---|" + "---:|" * len(names)
    for title, figure, better in _SWITCHED_ROWS:
        for off in _OFF:
            cells = [_cost(figures[name], figure, off, is_more_better=better) for name in names]
            yield f"| {title} | with {off} | {' | '.join(cells)} |"


def _cost(figures: Figures, figure: str, off: str, *, is_more_better: bool) -> str:
    try:
        on = figures.rounds(figure.format("on"))
        ratio = median(ratios_of(figures.rounds(figure.format(off)), on))
    except KeyError:
        return "-"
    # In time, either way.
    cost = (ratio if is_more_better else 1 / ratio) - 1
    return f"{ratio:.2f} ({cost:+.0%})"


def _absolutes(figures: Mapping[str, Figures]) -> Iterator[str]:
    yield "| | " + " | ".join(ENGINES[name] for name in figures) + " |"
    yield "|---|" + "---|" * len(figures)
    for title, name, scale, unit in _SHOWN:
        cells = [_with_spread(each, name, scale, unit) for each in figures.values()]
        if any(cells):
            yield f"| {title} | {' | '.join(cells)} |"


def _with_spread(figures: Figures, name: str, scale: float, unit: str) -> str:
    """Return the median of the rounds, and between which values they lay."""
    try:
        values = [value * scale for value in figures.rounds(name)]
    except KeyError:
        return ""
    middle = figures[name] * scale
    digits = 0 if middle >= 100 else 2
    if len(values) == 1:
        return f"{middle:.{digits}f} {unit}"
    return f"{middle:.{digits}f} {unit} ({min(values):.{digits}f}..{max(values):.{digits}f})"


def _milliseconds(*named: tuple[str, str]) -> Iterator[tuple[str, str, float, str]]:
    for title, name in named:
        yield title, name, 1000, "ms"


_SHOWN: tuple[tuple[str, str, float, str], ...] = (
    *_milliseconds(
        ("bare commit", "bare commit"),
        ("bare transaction of 1", "bare 1"),
        ("bare transaction of 10", "bare 10"),
        ("bare transaction of 100", "bare 100"),
        ("bare transaction of 1000", "bare 1000"),
        ("empty handler, POST, p50", "empty post p50"),
        ("empty handler, GET, p50", "empty get p50"),
        ("upload of 1, one client, p50", "upload 1 p50"),
        ("upload of 1, one client, p99", "upload 1 p99"),
        ("upload of 10, one client, p50", "upload 10 p50"),
        ("upload of 10, one client, p99", "upload 10 p99"),
        ("upload of 1, 16 clients, p50", "upload 1 x16 p50"),
        ("upload of 1, 16 clients, p99", "upload 1 x16 p99"),
        ("upload of 10, 16 clients, p50", "upload 10 x16 p50"),
        ("upload of 10, 16 clients, p99", "upload 10 x16 p99"),
        ("pending of 50, p50", "pending p50"),
        ("status by id, p50", "status p50"),
    ),
    ("upload of 1, 16 clients", "upload 1 x16 sales", 1, "sales/s"),
    ("the same without grouping", "upload 1 x16 ungrouped sales", 1, "sales/s"),
    ("the same, +2 ms an fsync", "upload 1 x16 +2 ms sales", 1, "sales/s"),
    ("the same, +2 ms, without grouping", "upload 1 x16 +2 ms ungrouped sales", 1, "sales/s"),
    ("the same, +8 ms an fsync", "upload 1 x16 +8 ms sales", 1, "sales/s"),
    ("the same, +8 ms, without grouping", "upload 1 x16 +8 ms ungrouped sales", 1, "sales/s"),
    ("upload of 10, 16 clients", "upload 10 x16 sales", 1, "sales/s"),
    ("upload of 100, 16 clients", "upload 100 x16 sales", 1, "sales/s"),
    ("the daemon's CPU, upload of 1, one client", "upload 1 cpu", 1e6, "us a sale"),
    ("the daemon's CPU, upload of 10, one client", "upload 10 cpu", 1e6, "us a sale"),
    ("the daemon's CPU, upload of 1, 16 clients", "upload 1 x16 cpu", 1e6, "us a sale"),
    ("the daemon's CPU, upload of 10, 16 clients", "upload 10 x16 cpu", 1e6, "us a sale"),
    ("the daemon's CPU, upload of 100, 16 clients", "upload 100 x16 cpu", 1e6, "us a sale"),
    ("the daemon's CPU, pending of 50", "pending cpu", 1e6, "us a request"),
    ("the daemon's CPU, status by id", "status cpu", 1e6, "us a request"),
    *(
        (f"{name}, {sales} stored, {q}", f"{name}, {key} {q}", 1000, "ms")
        for name in ("pending", "status", "retry", "upload")
        for q in ("p50", "p99")
        for sales, key in (("10k", "few"), ("1M", "many"))
    ),
    ("memory, 1M stored, under load", "memory", 1e-6, "MB"),
    ("that was watched for", "memory minutes", 1, "minutes"),
    ("the load generator against the empty handler, 16 clients", "empty post x16 rate", 1, "req/s"),
    ("its own CPU meanwhile", "empty post x16 busy", 100, "% of a core"),
    ("its own CPU at uploads of 10, 16 clients", "upload 10 x16 busy", 100, "% of a core"),
)


def _rooms(profiles: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield the rooms' shares of the daemon's CPU, under uploads of 100 sales."""
    yield "Uploads of 100 sales by 4 clients: shares of the CPU that the daemon's threads used, and"
    yield "microseconds a sale, of what one costs beside it with nobody looking."
    yield ""
    yield f"| | {' | '.join(profiles)} |"
    yield "|---|" + "---:|" * len(profiles)
    for title in (*(room.title for room in ROOMS), REST):
        cells = [_room(each, each["rooms"].get(title, 0)) for each in profiles.values()]
        yield f"| {title} | {' | '.join(cells)} |"
    cells = [_room(each, each["samples"]) for each in profiles.values()]
    yield f"| all | {' | '.join(cells)} |"


def _room(profile: Mapping[str, Any], seen: int) -> str:
    share = seen / (profile["samples"] or 1)
    return f"{share:.1%} · {share * profile['cpu_a_sale'] * 1e6:.1f} us"


def _functions(samples: Mapping[str, Any]) -> Iterator[str]:
    """Yield the functions with most time of their own."""
    total = samples["samples"] or 1
    yield "| own time | with what it calls | function |"
    yield "|---:|---:|---|"
    for name, count in _most(samples["own"]):
        yield f"| {count / total:.1%} | {samples['whole'][name] / total:.1%} | `{name}` |"


def _most(counts: Mapping[str, int]) -> Sequence[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: -pair[1])[:_TOP]
