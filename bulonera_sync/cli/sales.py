"""`history` and `edit`: what happened to a sale, and changing it on the server."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bulonera_sync.cli.invocations import read, settings_of, write
from bulonera_sync.cli.output import AsJson, listing, print_exactly, print_json, print_table, say
from bulonera_sync.cli.words import instant, phrase
from bulonera_sync.errors import RefusedError

if TYPE_CHECKING:
    from bulonera_sync.gateway import FoundSale, Gateway
    from bulonera_sync.gateway.edits import Result

MAX_DIGITS = 100

SaleName = Annotated[
    str, typer.Argument(metavar="SALE", help="Its id, number (VTA-2026-00042) or local_id.")
]


def sale_key(said: str) -> int | str:
    """Return what a person calls a sale by: an id, or a number or local_id as they are kept."""
    word = said.strip()
    if word.isascii() and word.isdigit() and len(word) <= MAX_DIGITS:
        return int(word)
    # A number is kept in capitals, a local_id in small letters.
    return word.lower() if word.count("-") == 4 else word.upper()


def history(context: typer.Context, sale: SaleName, as_json: AsJson = False) -> None:
    """Show every change of a sale, oldest first."""
    from bulonera_sync.gateway.documents import history_entry
    from bulonera_sync.sales import OPERATOR

    found, entries = read(context, lambda gateway: gateway.history(OPERATOR, sale_key(sale)))
    rows = [history_entry(entry) for entry in entries]
    if as_json:
        print_json(listing(rows, sale_id=found.id, sale_number=found.number))
        return
    head = phrase(
        "{number} · local_id {local_id} · {status}, version {version}",
        number=found.number,
        local_id=found.local_id,
        status=found.sync_status,
        version=found.version,
    )
    say(head)
    zone = settings_of(context).sync.zone
    lines = [
        {"when": instant(entry.at, zone), **_line(row)}
        for entry, row in zip(entries, rows, strict=True)
    ]
    print_table(lines, empty=phrase("Nothing has happened to this sale."))


def _line(entry: Mapping[str, Any]) -> Mapping[str, object]:
    versions = [str(each) for each in (entry["from_version"], entry["to_version"]) if each]
    detail = dict(entry["detail"])
    login = detail.pop("login", None)
    who = entry["user"] or entry["actor"]
    return {
        "what": entry["kind"],
        "who": f"{who} ({login})" if login else who,
        "version": " → ".join(dict.fromkeys(versions)) or None,
        "detail": ", ".join(_said(name, value) for name, value in detail.items() if value),
    }


def _said(name: str, value: object) -> str:
    shown = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return shown if name in {"result", "error"} else f"{name}: {shown}"


def edit(
    context: typer.Context,
    sale: SaleName,
    status: Annotated[str | None, typer.Option(help="draft, confirmed, delivered, ...")] = None,
    notes: Annotated[str | None, typer.Option(help="Up to 2,000 characters.")] = None,
    customer: Annotated[int | None, typer.Option(metavar="ID", help="Whose sale it is.")] = None,
    items: Annotated[
        Path | None,
        typer.Option(metavar="FILE.json", help="A JSON list of the items."),
    ] = None,
    payment_status: Annotated[str | None, typer.Option(help="unpaid, paid, ...")] = None,
    fiscal_status: Annotated[str | None, typer.Option(help="pending, authorized, ...")] = None,
    as_json: AsJson = False,
) -> None:
    """Change a sale on the server; a held one is corrected and judged anew."""
    said = {
        "status": status,
        "notes": notes,
        "customer_id": customer,
        "items": None if items is None else _read_items(items),
        "payment_status": payment_status,
        "fiscal_status": fiscal_status,
    }
    changes = {name: value for name, value in said.items() if value is not None}
    if not changes:
        text = phrase("nothing to change; name a field, such as --status confirmed")
        raise typer.BadParameter(text)
    found = write(context, lambda gateway: _edited(gateway, sale, changes))
    if as_json:
        _print_document(found)
        return
    reason = f": {found.sale.error}" if found.sale.error else ""
    text = phrase(
        "{number} is {status}, version {version}",
        number=found.sale.number,
        status=found.sale.sync_status,
        version=found.sale.version,
    )
    say(f"{text}{reason}")


def _read_items(file: Path) -> object:
    """Return the list in a JSON file, each number in its own words; raises `RefusedError`."""
    from bulonera_sync.bodies import BadBodyError, parse_body

    try:
        found = parse_body(file.read_bytes())
    except OSError as error:
        text = phrase("{file}: can't be read: {reason}", file=file, reason=error.strerror)
        raise RefusedError(text) from error
    except BadBodyError as error:
        raise RefusedError(phrase("{file}: not JSON: {reason}", file=file, reason=error)) from error
    if not isinstance(found, list):
        raise RefusedError(phrase("{file}: must be a JSON list of items", file=file))
    return found


async def _edited(gateway: "Gateway", sale: str, changes: Mapping[str, object]) -> "FoundSale":
    from bulonera_sync.sales import OPERATOR

    key = sale_key(sale)
    # The version is read first and must still be so at the write: nobody's edit is overwritten.
    present = await gateway.find_sale(OPERATOR, key)
    result = await gateway.edit(OPERATOR, key, as_said(changes), present.sale.version)
    _refuse_unless_done(result)
    return await gateway.find_sale(OPERATOR, present.sale.id)


def as_said(changes: Mapping[str, object]) -> Mapping[str, object]:
    """Return the changes as a request's body would say them: numbers in their own words."""
    from bulonera_sync.bodies import Number

    return {
        name: Number(value) if isinstance(value, int) else value for name, value in changes.items()
    }


def _refuse_unless_done(result: "Result") -> None:
    from bulonera_sync.gateway import Moved
    from bulonera_sync.resolutions import Invalid

    match result:
        case Moved(refused, _):
            text = phrase("{why}; look at it again and repeat the command", why=refused.message)
            raise RefusedError(text)
        case Invalid(problems):
            raise RefusedError("; ".join(problem.message for problem in problems))
        case _:
            return


def _print_document(found: "FoundSale") -> None:
    from bulonera_sync.gateway.documents import sale_document

    # A held sale's payload has each number as it was sent, which json.dumps can't write.
    print_exactly(sale_document(found))
