"""What a person or a program reads: tables, lines, JSON; every text from data is made inert."""

import json
import os
import re
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from bulonera_sync.cli.words import phrase

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document, nothing else.")]

# The heads of tables, which are the names of their rows' values.
PHRASES = (
    "active",
    "code",
    "created at",
    "detail",
    "id",
    "key",
    "label",
    "name",
    "origin",
    "price",
    "revoked at",
    "role",
    "section",
    "tax id",
    "tax percentage",
    "username",
    "value",
    "version",
    "what",
    "when",
    "who",
)

# A table's row is one line wherever nobody looks: whatever reads a pipe counts lines.
ENDLESS_COLUMNS = 10_000

# Controls, C1 and DEL among them, formats (bidi controls among them), lone surrogates, line and
# paragraph separators, and what has no meaning yet. JSON's own line breaks are no text.
_UNSAFE_IN_JSON = re.compile(r"[^\x20-\x7e\n]")


def inert(text: str) -> str:
    """Return the text on one line, with whatever a terminal could obey shown as its code."""
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    # A no-break space is a space; the other separators break lines.
    if unicodedata.category(character) == "Zs":
        return " "
    return character.encode("unicode_escape").decode("ascii")


def print_json(document: Mapping[str, object]) -> None:
    """Print one JSON document; a letter stays as it is, a control leaves as its \\u code."""
    text = json.dumps(document, ensure_ascii=False, indent=2)
    print(_UNSAFE_IN_JSON.sub(_json_code, text))


def print_exactly(document: Mapping[str, object]) -> None:
    """Print the same of a document that has numbers as they were sent."""
    print(_UNSAFE_IN_JSON.sub(_json_code, _laid_out(document, "\n")))


def _laid_out(value: object, margin: str) -> str:
    from bulonera_sync.bodies import Number

    inner = f"{margin}  "
    match value:
        case Number():
            return str(value)
        case Mapping() if value:
            members = (
                f"{json.dumps(str(name), ensure_ascii=False)}: {_laid_out(each, inner)}"
                for name, each in value.items()
            )
            return f"{{{inner}{f',{inner}'.join(members)}{margin}}}"
        case list() | tuple() if value:
            elements = (_laid_out(each, inner) for each in value)
            return f"[{inner}{f',{inner}'.join(elements)}{margin}]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _json_code(found: re.Match[str]) -> str:
    character = found[0]
    return character if character.isprintable() else json.dumps(character)[1:-1]


def listing(results: Sequence[Mapping[str, object]], **more: object) -> Mapping[str, object]:
    """Return the document of a listing (contract 10)."""
    return {"count": len(results), **more, "results": results}


def print_table(rows: Sequence[Mapping[str, object]], *, empty: str) -> None:
    """Print rows of the same keys as a table with the keys for its head; none: what that means."""
    if not rows:
        say(empty)
        return
    # Slow to import: only who prints a table waits for it.
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    is_watched = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(width=None if is_watched else ENDLESS_COLUMNS, highlight=False)
    table = Table(
        *(phrase(key.replace("_", " ")) for key in rows[0]),
        box=SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        header_style="" if console.no_color else "bold",
    )
    for column in table.columns:
        # Not an ellipsis: a token's id or a path that is cut short says nothing.
        column.overflow = "fold"
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    console.print(table)


def _cell(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return phrase("yes") if value else phrase("no")
        case str():
            return inert(value)
        case _:
            return inert(json.dumps(value, ensure_ascii=False))


def tell_rest(shown: int, total: int) -> None:
    """Say on stderr how many there are besides those that are shown."""
    if shown < total:
        text = phrase(
            "These are {shown} of {total}; --limit {total} shows all.", shown=shown, total=total
        )
        complain(text)


def say(text: str) -> None:
    """Print a line for a person, at once even where nobody looks."""
    print(inert(text), flush=True)


def agreed(question: str) -> bool:
    """Ask for yes or no until one is said; Enter is no."""
    while True:
        answer = typer.prompt(
            phrase("{question} [y/N]", question=question), default="", show_default=False
        )
        said = answer.strip().lower()
        if said in phrase("y yes").split():
            return True
        if said in ["", *phrase("n no").split()]:
            return False


def complain(text: str) -> None:
    """Print a line on stderr."""
    print(inert(" ".join(text.split())), file=sys.stderr, flush=True)
