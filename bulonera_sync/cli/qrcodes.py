"""An address as a QR code that a tablet's camera reads off the terminal."""

import os
import shutil
import sys
from collections.abc import Iterator, Sequence

# Two rows of the code in one line of the terminal: the upper half, the lower, both, none.
_HALVES = {(True, True): "█", (True, False): "▀", (False, True): "▄", (False, False): " "}
# What a camera needs around it; the standard's four are not needed by any that is sold.
_BORDER = 2
# Black on white whatever the terminal's colours are: not every camera reads the inverse.
_ON, _OFF = "\x1b[30;107m", "\x1b[0m"


def show(text: str) -> None:
    """Print the text as a QR code where this terminal can show one; nothing anywhere else."""
    lines = draw(text)
    if not _is_shown_here(lines):
        return
    is_plain = bool(os.environ.get("NO_COLOR"))
    for line in lines:
        # Without colours the terminal is taken for a dark one, as most are.
        sys.stdout.write(f"{_inverse(line) if is_plain else f'{_ON}{line}{_OFF}'}\n")


def draw(text: str) -> list[str]:
    """Return the code's lines: dark modules as blocks."""
    import segno

    code = segno.make_qr(text, error="m", boost_error=False)
    rows = [[bool(module) for module in row] for row in code.matrix_iter(border=_BORDER)]
    return ["".join(_HALVES[pair] for pair in pairs) for pairs in _pairs(rows)]


def _pairs(rows: Sequence[Sequence[bool]]) -> Iterator[list[tuple[bool, bool]]]:
    light = [False] * len(rows[0])
    for upper in range(0, len(rows), 2):
        lower = rows[upper + 1] if upper + 1 < len(rows) else light
        yield list(zip(rows[upper], lower, strict=True))


_INVERSES = str.maketrans({"█": " ", " ": "█", "▀": "▄", "▄": "▀"})


def _inverse(line: str) -> str:
    return line.translate(_INVERSES)


def _is_shown_here(lines: Sequence[str]) -> bool:
    if not sys.stdout.isatty() or len(lines[0]) > shutil.get_terminal_size().columns:
        return False
    try:
        "".join(_HALVES.values()).encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
