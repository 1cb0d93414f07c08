"""`catalog`: the customers and products that a sale may name."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bulonera_sync.cli.invocations import read, write
from bulonera_sync.cli.output import (
    AsJson,
    listing,
    print_json,
    print_table,
    say,
    tell_rest,
)
from bulonera_sync.cli.words import amount, phrase, plural, quantity
from bulonera_sync.money import format_price

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulonera_sync.gateway import CatalogImport, CatalogRow, Gateway

Kind = Literal["customers", "products"]
KindArgument = Annotated[Kind, typer.Argument(metavar="customers|products")]

MAX_ROWS = 1_000_000
PHRASES = ("customers", "products")

# How a person writes a column's number.
FORMS = {"price": amount, "tax_percentage": quantity}

app = typer.Typer(
    help="The catalogue: customers and products that a sale may name.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("import")
def import_file(
    context: typer.Context,
    kind: KindArgument,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="CSV with the header id,name,tax_id,active (customers) or "
            "id,code,name,price,tax_percentage,active (products).",
        ),
    ],
    deactivate_missing: Annotated[
        bool,
        typer.Option("--deactivate-missing", help="Make inactive what the file doesn't have."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring in a CSV file, all its rows or none; rows known already are updated."""

    async def bring(gateway: "Gateway") -> "CatalogImport":
        return await gateway.import_catalog(kind, file, deactivate_missing=deactivate_missing)

    done = write(context, bring)
    if as_json:
        print_json({"imported": done.imported, "deactivated": done.deactivated})
        return
    text = phrase(
        "Imported {count} {kind}, made {inactive} inactive.",
        count=done.imported,
        kind=phrase(kind),
        inactive=done.deactivated,
    )
    say(text)
    if done.healing:
        say(
            plural(
                done.healing,
                "{count} sale that waited for them is tried again now.",
                "{count} sales that waited for them are tried again now.",
            )
        )


@app.command("list")
def list_rows(
    context: typer.Context,
    kind: KindArgument,
    limit: Annotated[
        int, typer.Option(metavar="N", min=1, max=MAX_ROWS, help="Show so many at most.")
    ] = 50,
    as_json: AsJson = False,
) -> None:
    """List the first customers or products by id."""
    found, total = read(context, lambda gateway: gateway.list_catalog(kind, limit=limit))
    rows = [_row(row) for row in found]
    if as_json:
        print_json(listing(rows, total=total))
        return
    print_table(
        [_in_words(row) for row in rows],
        empty=phrase(
            "No {kind} yet, so no sale can be taken: bulonera-sync catalog import {word} FILE "
            "brings them.",
            kind=phrase(kind),
            word=kind,
        ),
    )
    tell_rest(len(rows), total)


def _in_words(row: "Mapping[str, object]") -> "Mapping[str, object]":
    """Return a row with its numbers as a person writes them."""
    return {
        name: FORMS[name](str(value)) if name in FORMS and value is not None else value
        for name, value in row.items()
    }


def _row(row: "CatalogRow") -> dict[str, object]:
    """A catalogue row with the import's columns; prices and percentages as the API writes them."""
    shown = {name: getattr(row, name) for name in row.__slots__ if name != "is_active"}
    for name, text in (("price", format_price), ("tax_percentage", "{:.2f}".format)):
        if shown.get(name) is not None:
            shown[name] = text(shown[name])
    return {**shown, "active": row.is_active}
