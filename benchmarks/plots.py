"""Bars of ratios beside their aims, as SVG: what a page shows and nothing else."""

from collections.abc import Iterator, Mapping
from xml.sax.saxutils import escape

from benchmarks.aims import AIMS, Aim
from benchmarks.figures import Figures
from benchmarks.reports import ENGINES, ratio_of, shown

_WIDTH, _LEFT, _ROW, _TOP = 900, 300, 26, 46
# A bar this long is exactly at its aim.
_AT_AIM = 300
_LONGEST = 480
_MET, _MISSED, _AIM = "#2f7d4f", "#b4472f", "#555"


def plot(engine: str, figures: Figures) -> str:
    """Return the picture of an engine's ratios, each drawn in parts of its aim.

    A bar that ends before the line is good where little is wanted; behind it where much is.
    """
    rows = [(aim, ratio) for aim in AIMS if (ratio := ratio_of(aim, figures)) is not None]
    height = _TOP + len(rows) * _ROW + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="10" y="20" font-size="15">{ENGINES[engine]}: ratios beside their aims</text>',
        '<text x="10" y="37" fill="#555">the line is the aim; green is met, red is not</text>',
    ]
    for place, (aim, ratio) in enumerate(rows):
        parts += _row(_TOP + place * _ROW, aim, engine, ratio)
    line = _LEFT + _AT_AIM
    parts.append(
        f'<line x1="{line}" y1="{_TOP}" x2="{line}" y2="{height - 10}" stroke="{_AIM}" '
        'stroke-dasharray="4 3"/>'
    )
    return "\n".join([*parts, "</svg>", ""])


def _row(top: int, aim: Aim, engine: str, ratio: float) -> Iterator[str]:
    limit = aim.limit(engine)
    length = min(_LONGEST, ratio / limit * _AT_AIM)
    colour = _MET if aim.is_met(engine, ratio) else _MISSED
    sign = "≤" if aim.is_most else "≥"
    yield f'<text x="{_LEFT - 8}" y="{top + 17}" text-anchor="end">{escape(aim.workload)}</text>'
    yield f'<rect x="{_LEFT}" y="{top + 4}" width="{length:.0f}" height="18" fill="{colour}"/>'
    text = f"{shown(aim, ratio)} ({sign} {shown(aim, limit)} {aim.of})"
    anchor = _LEFT + max(length, _AT_AIM) + 8
    # A long bar has its words inside, a short one behind the line.
    if length > _AT_AIM:
        yield f'<text x="{_LEFT + 8}" y="{top + 17}" fill="#fff">{escape(text)}</text>'
    else:
        yield f'<text x="{anchor:.0f}" y="{top + 17}">{escape(text)}</text>'


def plots(figures: Mapping[str, Figures]) -> Iterator[tuple[str, str]]:
    """Yield a name and a picture for each engine."""
    for engine, measured in figures.items():
        yield f"speed-{engine}.svg", plot(engine, measured)
