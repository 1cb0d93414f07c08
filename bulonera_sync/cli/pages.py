"""A page for a person: sentences, facts and tables laid out for the screen, every text inert.

No line is longer than the screen: sentences wrap, columns are cut short or left out. In a pipe a
row is one line, however long.
"""

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from bulonera_sync.cli.output import ENDLESS_COLUMNS, inert
from bulonera_sync.cli.words import phrase

GAP = 2
# A note beside its row wants so many cells; with less room it stands beneath.
LEAST_NOTE = 36
LEAST_WIDTH = 20

# ECMA-48: bold and normal; home, to the line's end, to the screen's end.
BOLD, NORMAL = "\x1b[1m", "\x1b[0m"
HOME, ERASE_LINE, ERASE_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column: `least` is how short it may be cut, `rank` how early it is left out.

    The highest rank goes first; a column of rank 0 never does.
    """

    title: str
    rank: int = 0
    least: int | None = None
    is_right: bool = False


class Line(NamedTuple):
    text: str
    is_bold: bool = False


def screen_width() -> int:
    """Return how many cells a line has; where nobody looks, whatever it takes."""
    is_watched = sys.stdout.isatty() or "COLUMNS" in os.environ
    return max(shutil.get_terminal_size().columns, LEAST_WIDTH) if is_watched else ENDLESS_COLUMNS


class Page:
    """Lines to show."""

    def __init__(self) -> None:
        self._width = screen_width()
        self._lines: list[Line] = []

    def title(self, text: str) -> None:
        """Add a line that begins something, an empty one before it."""
        if self._lines:
            self.gap()
        self._lines.extend(Line(line, is_bold=True) for line in wrapped(inert(text), self._width))

    def gap(self) -> None:
        self._lines.append(Line(""))

    def say(self, text: str, *, indent: int = 0) -> None:
        """Add a sentence."""
        self._add(_indented(inert(text), indent, self._width))

    def facts(self, facts: Sequence[tuple[str, str]]) -> None:
        """Add names and what they are, one below the other."""
        shown = [(inert(name), inert(value)) for name, value in facts]
        widest = max((cell_len(name) for name, _ in shown), default=0) + GAP
        room = min(widest, self._width // 2)
        for name, value in shown:
            label = set_cell_size(cut_to(name, room - 1), room)
            first, *more = wrapped(value, self._width - room)
            self._add([label + first, *(" " * room + line for line in more)])

    def table(
        self,
        columns: Sequence[Column],
        rows: Sequence[Sequence[str]],
        *,
        notes: Sequence[str] = (),
        indent: int = 0,
    ) -> None:
        """Add rows under their titles; each row's note stands beside it, or beneath."""
        cells = [[inert(cell) for cell in row] for row in rows]
        titles = [column.title for column in columns]
        naturals = [max(map(cell_len, each)) for each in zip(titles, *cells, strict=True)]
        widths = fitted_widths(columns, naturals, self._width - indent)
        room = self._width - indent - _needed(widths) - GAP
        shown = [inert(note) for note in notes] or [""] * len(rows)
        is_beside = room >= min(LEAST_NOTE, max(map(cell_len, shown), default=0))
        margin = " " * indent
        self._add([margin + _row(columns, titles, widths)])
        for row, note in zip(cells, shown, strict=True):
            line = margin + _row(columns, row, widths)
            if note and is_beside:
                line = set_cell_size(line, self._width - room)
                first, *more = wrapped(note, room)
                self._add([line + first, *(" " * (self._width - room) + each for each in more)])
            else:
                self._add([line])
                self._add(_indented(note, indent + GAP, self._width) if note else [])

    def _add(self, lines: Sequence[str]) -> None:
        self._lines.extend(Line(line.rstrip()) for line in lines)

    def show(self) -> None:
        """Print the page."""
        sys.stdout.writelines(f"{_styled(line)}\n" for line in self._lines)
        sys.stdout.flush()

    @property
    def fits(self) -> bool:
        """Whether the terminal is as high as the page and its foot."""
        return len(self._lines) <= _room()

    def redraw(self, foot: str) -> None:
        """Put the page in place of the last one on a terminal, as much of it as fits."""
        lines = list(self._lines)
        if not self.fits:
            lines = lines[: _room() - 1]
            note = phrase("... {count} more lines", count=len(self._lines) - len(lines))
            lines.append(Line(note))
        lines += [Line(""), Line(cut_to(inert(foot), self._width))]
        # Line by line over the old one: a screen that is cleared first flickers.
        text = f"{ERASE_LINE}\n".join(map(_styled, lines))
        sys.stdout.write(f"{HOME}{text}{ERASE_LINE}{ERASE_BELOW}")
        sys.stdout.flush()


def _room() -> int:
    """Return how many lines a page may have on this terminal, with two for its foot."""
    return max(shutil.get_terminal_size().lines - 2, 2)


def _styled(line: Line) -> str:
    return f"{BOLD}{line.text}{NORMAL}" if line.is_bold and _is_styled() else line.text


def _is_styled() -> bool:
    environ = os.environ
    return sys.stdout.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def fitted_widths(
    columns: Sequence[Column], naturals: Sequence[int], room: int
) -> list[int | None]:
    """Return each column's width, None for one that is left out, so that all fit in the room."""
    widths: list[int | None] = list(naturals)
    while _needed(widths) > room:
        leasts = [
            None if width is None else min(width, width if column.least is None else column.least)
            for column, width in zip(columns, widths, strict=True)
        ]
        droppable = [i for i, c in enumerate(columns) if c.rank and widths[i] is not None]
        if _needed(leasts) <= room or not droppable:
            return _squeezed(widths, leasts, room)
        widths[max(droppable, key=lambda i: columns[i].rank)] = None
    return widths


def _squeezed(
    widths: list[int | None], leasts: Sequence[int | None], room: int
) -> list[int | None]:
    """Take from the widest, one cell at a time, what is too much."""
    while _needed(widths) > room:
        spare = [(w - least, i) for i, (w, least) in enumerate(zip(widths, leasts, strict=True))
                 if w is not None and least is not None and w > least]  # fmt: skip
        if not spare:
            # Not even the least fits: the last column gives, to one cell at worst.
            spare = [(w, i) for i, w in enumerate(widths) if w is not None and w > 1]
        if not spare:
            break
        _, index = max(spare)
        width = widths[index]
        assert width is not None
        widths[index] = width - 1
    return widths


def _needed(widths: Sequence[int | None]) -> int:
    kept = [width for width in widths if width is not None]
    return sum(kept) + GAP * (len(kept) - 1)


def _row(columns: Sequence[Column], cells: Sequence[str], widths: Sequence[int | None]) -> str:
    return (" " * GAP).join(
        _placed(cell, width, is_right=column.is_right)
        for column, cell, width in zip(columns, cells, widths, strict=True)
        if width is not None
    )


def _placed(text: str, width: int, *, is_right: bool) -> str:
    shown = cut_to(text, width)
    blanks = " " * (width - cell_len(shown))
    return blanks + shown if is_right else shown + blanks


def cut_to(text: str, width: int) -> str:
    """Return a text that is too long as its beginning, with an ellipsis for the rest."""
    return text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + "…"


def _indented(text: str, indent: int, width: int) -> list[str]:
    margin = " " * min(indent, width // 2)
    return [margin + line for line in wrapped(text, width - len(margin))]


def wrapped(text: str, width: int) -> list[str]:
    """Return the text in lines of at most so many cells, broken between words where it can be."""
    if cell_len(text) <= width:
        return [text]
    lines = [""]
    for word in _pieces(text, width):
        line = f"{lines[-1]} {word}" if lines[-1] else word
        if cell_len(line) <= width:
            lines[-1] = line
        else:
            lines.append(word)
    return lines


def _pieces(text: str, width: int) -> Iterator[str]:
    """Yield the words, those that are longer than a line in pieces."""
    for word in text.split():
        rest = word
        while cell_len(rest) > width:
            piece = set_cell_size(rest, width).rstrip()
            # One character wider than the line goes alone.
            piece = piece if piece and rest.startswith(piece) else rest[:1]
            yield piece
            rest = rest[len(piece) :]
        if rest:
            yield rest
