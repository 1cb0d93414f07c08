"""`resolve`: ending a conflict, by an option or in a dialogue."""

import sys
from codecs import BOM_UTF8
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bulonera_sync.cli.invocations import write
from bulonera_sync.cli.output import AsJson, print_json, say
from bulonera_sync.cli.sales import sale_key
from bulonera_sync.cli.sentences import reason
from bulonera_sync.cli.words import phrase
from bulonera_sync.errors import RefusedError

if TYPE_CHECKING:
    from bulonera_sync.gateway import Gateway
    from bulonera_sync.gateway.edits import Result
    from bulonera_sync.sales import Resolution, Sale


def resolve(
    context: typer.Context,
    sale: Annotated[
        str | None,
        typer.Argument(
            metavar="[SALE]",
            help="Its id, number or local_id; on a terminal, without one: every conflict in turn.",
        ),
    ] = None,
    server_wins: Annotated[
        bool, typer.Option("--server-wins", help="Keep the sale as it is on the server.")
    ] = False,
    client_wins: Annotated[
        bool, typer.Option("--client-wins", help="Make it what the till sent.")
    ] = False,
    manual: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json",
            help="Keep the server's, changed by this object of customer_id, status, items, notes.",
        ),
    ] = None,
    notes: Annotated[str, typer.Option(help="Why; kept in the sale's history.")] = "",
    as_json: AsJson = False,
) -> None:
    """End a conflict; without an option, on a terminal: side by side, field by field, asked."""
    resolution = _resolution(
        server_wins=server_wins, client_wins=client_wins, is_manual=manual is not None
    )
    _refuse_notes(notes)
    if resolution is None:
        _ask(context, sale, notes, is_json=as_json)
        return
    if sale is None:
        raise typer.BadParameter(phrase("name the SALE that this is about"))
    said = None if manual is None else read_client_data(manual)
    settled = write(context, lambda gateway: _resolved(gateway, sale, resolution, notes, said))
    if as_json:
        _print(settled, resolution)
        return
    text = phrase(
        "{number} is {status}, version {version} ({how}).",
        number=settled.number,
        status=settled.sync_status,
        version=settled.version,
        how=how_it_ended(resolution),
    )
    say(text)


def _resolution(*, server_wins: bool, client_wins: bool, is_manual: bool) -> "Resolution | None":
    said: dict[Resolution, bool] = {
        "server_wins": server_wins,
        "client_wins": client_wins,
        "manual": is_manual,
    }
    wanted = [resolution for resolution, is_said in said.items() if is_said]
    if len(wanted) > 1:
        text = phrase("say only one of --server-wins, --client-wins and --manual FILE.json")
        raise typer.BadParameter(text)
    return wanted[0] if wanted else None


def _refuse_notes(notes: str) -> None:
    from bulonera_sync.uploads import read_notes

    _, problem = read_notes(notes)
    if problem is not None:
        raise RefusedError(problem.message)


def _ask(context: typer.Context, sale: str | None, notes: str, *, is_json: bool) -> None:
    if is_json:
        text = phrase("--json asks nothing; say --server-wins, --client-wins or --manual FILE.json")
        raise typer.BadParameter(text)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        text = phrase(
            "there is no terminal to ask on; say --server-wins, --client-wins or --manual FILE.json"
        )
        raise typer.BadParameter(text)
    from bulonera_sync.cli.dialogues import Dialogue

    Dialogue(context, notes).go_through(None if sale is None else sale_key(sale))


def read_client_data(file: Path) -> Mapping[str, object]:
    """Return a client_data object, its numbers in their own words; raises `RefusedError`."""
    from bulonera_sync.bodies import BadBodyError, parse_body
    from bulonera_sync.edits import unknown_fields
    from bulonera_sync.resolutions import CLIENT_FIELDS

    try:
        # An editor may have put the mark there; a till never does.
        said = parse_body(file.read_bytes().removeprefix(BOM_UTF8))
    except OSError as error:
        text = phrase("{file} can't be read: {why}", file=file, why=reason(error))
        raise RefusedError(text) from error
    except BadBodyError as error:
        raise RefusedError(phrase("{file} is not JSON: {why}", file=file, why=error)) from error
    allowed = ", ".join(CLIENT_FIELDS)
    if not isinstance(said, dict):
        text = phrase("{file} must be one JSON object of {allowed}", file=file, allowed=allowed)
        raise RefusedError(text)
    unknown = unknown_fields(said, CLIENT_FIELDS)
    if unknown:
        facts = {"file": file, "unknown": ", ".join(unknown[:10]), "allowed": allowed}
        raise RefusedError(phrase("{file} may not hold {unknown}; only {allowed}", **facts))
    return said


async def _resolved(
    gateway: "Gateway",
    sale: str,
    resolution: "Resolution",
    notes: str,
    said: Mapping[str, object] | None,
) -> "Sale":
    from bulonera_sync.resolutions import Request
    from bulonera_sync.sales import OPERATOR

    # Both sides are read first and must still be so at the write: nobody's work is overwritten.
    present = (await gateway.find_sale(OPERATOR, sale_key(sale))).sale
    request = Request(resolution, notes, said, present.version, present.parked)
    return settled_sale(await gateway.resolve(OPERATOR, present.id, request))


def settled_sale(result: "Result") -> "Sale":
    """Return the sale of a decision that is done; raises `RefusedError` for any other."""
    from bulonera_sync.gateway import Moved, Settled
    from bulonera_sync.resolutions import Invalid

    match result:
        case Settled(sale):
            return sale
        case Moved(refused, _):
            raise RefusedError(
                phrase("{why}; bulonera-sync history shows what happened", why=refused.message)
            )
        case Invalid(problems):
            raise RefusedError("; ".join(problem.message for problem in problems))


def how_it_ended(resolution: str) -> str:
    """Return whose side a conflict ended with, in the words that the dialogue asks with."""
    match resolution:
        case "server_wins":
            return phrase("as on the server")
        case "client_wins":
            return phrase("as on the till")
        case _:
            return phrase("decided by hand")


def _print(sale: "Sale", resolution: "Resolution") -> None:
    from bulonera_sync.gateway.documents import resolved_sale

    # The words of the API's own answer.
    print_json({"message": f"Conflict resolved with {resolution}", "sale": resolved_sale(sale)})
