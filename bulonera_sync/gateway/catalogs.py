"""Reading a catalogue file: CSV as a shop's office program writes it; all of it or nothing."""

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from bulonera_sync.bodies import shorten
from bulonera_sync.errors import RefusedError
from bulonera_sync.money import HUNDRED, TooLongError, read_decimal, read_id
from bulonera_sync.store.catalog import (
    MAX_STORED_ID,
    CatalogCustomer,
    CatalogKind,
    CatalogProduct,
    CatalogRow,
)

if TYPE_CHECKING:
    import _csv

COLUMNS: Mapping[CatalogKind, tuple[str, ...]] = {
    "customers": ("id", "name", "tax_id", "active"),
    "products": ("id", "code", "name", "price", "tax_percentage", "active"),
}
REQUIRED = ("id", "name")
TRUE_WORDS = frozenset({"", "1", "true", "sí", "si"})
FALSE_WORDS = frozenset({"0", "false", "no"})
MAX_TEXT = 500
NUMBERS = ("price", "tax_percentage")

# A line's number and its cells by column.
Line = tuple[int, Mapping[str, str]]

_FIELDS = {"active": "is_active"}
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{3})+", re.ASCII)


class _BadCellError(Exception):
    """A cell says nothing usable; the text says what would."""


@dataclass(frozen=True, slots=True)
class CatalogFile:
    """What a file says: its rows, and the columns that it has."""

    rows: list[CatalogRow]
    columns: frozenset[str]


def read_catalog(path: Path, kind: CatalogKind) -> CatalogFile:
    """Return what a CSV file says (contract 10); raises `RefusedError` naming file and line."""
    text = _text_of(path)
    # strict: a quote that is never closed would swallow the lines behind it as one name.
    lines = csv.reader(text.splitlines(keepends=True), delimiter=_delimiter(text), strict=True)
    try:
        header = _header(path, next(lines, []), kind)
        said = list(_lines(path, lines, header))
    except csv.Error as error:
        raise RefusedError(f"{path}: line {lines.line_num}: not CSV: {error}") from error
    _refuse_ambiguous(path, said)
    return CatalogFile(list(_rows(path, said, kind)), frozenset(_FIELDS.get(n, n) for n in header))


def _text_of(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise RefusedError(f"{path}: can't be read: {error.strerror}") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Every byte means something in Latin-1; Windows-1252 leaves five out.
        text = raw.decode("windows-1252", errors="replace")
    if "\0" in text:
        raise RefusedError(f"{path}: has NUL characters; save it as CSV in UTF-8")
    return text


def _delimiter(text: str) -> str:
    first = text.split("\n", 1)[0]
    return ";" if first.count(";") > first.count(",") else ","


def _header(path: Path, cells: Sequence[str], kind: CatalogKind) -> list[str]:
    names = [cell.strip().lower() for cell in cells]
    known = ",".join(COLUMNS[kind])
    for name in REQUIRED:
        if name not in names:
            raise RefusedError(f"{path}: line 1: no column {name}; the header is {known}")
    for name in names:
        if name not in COLUMNS[kind]:
            raise RefusedError(
                f"{path}: line 1: unknown column {shorten(name)}; the header is {known}"
            )
        if names.count(name) > 1:
            raise RefusedError(f"{path}: line 1: column {name} stands twice")
    return names


def _lines(path: Path, lines: "_csv.Reader", header: Sequence[str]) -> Iterator[Line]:
    for cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise RefusedError(
                f"{path}: line {lines.line_num}: {len(cells)} columns where the header has "
                f"{len(header)}; a separator inside a text or number needs quotes around it"
            )
        yield lines.line_num, dict(zip(header, map(str.strip, cells), strict=True))


def _refuse_ambiguous(path: Path, said: Sequence[Line]) -> None:
    """Refuse "1.500" where other numbers have a decimal comma: is it 1500 or 1.5?"""
    if not any("," in cells.get(name, "") for _, cells in said for name in NUMBERS):
        return
    for number, cells in said:
        for name in NUMBERS:
            if _THOUSANDS.fullmatch(cells.get(name, "")):
                plain = cells[name].replace(".", "")
                raise RefusedError(
                    f"{path}: line {number}: {name} {cells[name]} has a point and others a comma; "
                    f"write {plain} or {cells[name].replace('.', ',')}"
                )


def _rows(path: Path, said: Sequence[Line], kind: CatalogKind) -> Iterator[CatalogRow]:
    first_lines: dict[int, int] = {}
    for number, cells in said:
        place = f"{path}: line {number}"
        try:
            row = _MAKERS[kind](cells)
        except _BadCellError as error:
            raise RefusedError(f"{place}: {error}") from error
        if row.id in first_lines:
            raise RefusedError(f"{place}: id {row.id} stands in line {first_lines[row.id]} already")
        first_lines[row.id] = number
        yield row


def _customer(said: Mapping[str, str]) -> CatalogRow:
    return CatalogCustomer(
        id=_id(said["id"]),
        name=_text(said, "name", is_required=True),
        tax_id=_text(said, "tax_id"),
        is_active=_is_active(said.get("active", "")),
    )


def _product(said: Mapping[str, str]) -> CatalogRow:
    return CatalogProduct(
        id=_id(said["id"]),
        code=_text(said, "code"),
        name=_text(said, "name", is_required=True),
        price=_number(said, "price", places=4),
        tax_percentage=_number(said, "tax_percentage", places=2, maximum=HUNDRED),
        is_active=_is_active(said.get("active", "")),
    )


_MAKERS: Mapping[CatalogKind, Callable[[Mapping[str, str]], CatalogRow]] = {
    "customers": _customer,
    "products": _product,
}


def _id(cell: str) -> int:
    found = read_id(cell)
    if found is None or found > MAX_STORED_ID:
        raise _BadCellError(f"id must be a whole number from 1, found {shorten(cell) or 'nothing'}")
    return found


def _text(said: Mapping[str, str], name: str, *, is_required: bool = False) -> str:
    cell = said.get(name, "")
    if is_required and not cell:
        raise _BadCellError(f"{name} is empty")
    if len(cell) > MAX_TEXT:
        raise _BadCellError(f"{name} has {len(cell)} characters, {MAX_TEXT} at most")
    return cell


def _number(
    said: Mapping[str, str], name: str, *, places: int, maximum: Decimal | None = None
) -> Decimal | None:
    cell = said.get(name, "")
    if not cell:
        return None
    plain = cell.replace(".", "").replace(",", ".") if "," in cell else cell
    try:
        number = read_decimal(plain, places)
    except TooLongError:
        number = None
    if number is None or number < 0 or (maximum is not None and number > maximum):
        limit = f" up to {maximum}" if maximum is not None else ""
        raise _BadCellError(
            f"{name} must be a number{limit} with at most {places} decimals, found {shorten(cell)}"
        )
    return number


def _is_active(cell: str) -> bool:
    word = cell.lower()
    if word not in TRUE_WORDS | FALSE_WORDS:
        raise _BadCellError(f"active must be 1/0, true/false or sí/no, found {shorten(cell)}")
    return word in TRUE_WORDS
