"""`quarantine`: uploads that no valid local_id names, kept word for word for support."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from bulonera_sync.bodies import Number, parse_kept
from bulonera_sync.cli.invocations import read, settings_of
from bulonera_sync.cli.output import AsJson, listing, print_json, tell_rest
from bulonera_sync.cli.words import ago, moment, phrase, plural, size, whole
from bulonera_sync.times import time_text

if TYPE_CHECKING:
    from bulonera_sync.gateway import QuarantinedSale

MAX_ID = 2**63 - 1
MAX_ROWS = 1_000_000
MAX_LINES = 200
MAX_LETTERS = 2_000
INDENT = 2

app = typer.Typer(
    help="The quarantine: uploads that no valid local_id names.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
def list_quarantined(
    context: typer.Context,
    limit: Annotated[
        int, typer.Option(metavar="N", min=1, max=MAX_ROWS, help="Show so many at most.")
    ] = 50,
    as_json: AsJson = False,
) -> None:
    """List what is in quarantine, the newest first."""
    found, total = read(context, lambda gateway: gateway.list_quarantine(limit=limit))
    if as_json:
        print_json(listing([_row(each) for each in found], total=total))
        return
    _show(found)
    tell_rest(len(found), total)


def _row(quarantined: "QuarantinedSale") -> dict[str, object]:
    from bulonera_sync.gateway.documents import problem_list

    problems = quarantined.problems
    return {
        "id": quarantined.id,
        "created_by": quarantined.username,
        "error": problems[0].message if problems else None,
        "errors": problem_list(problems),
        "received_at": time_text(quarantined.received_at),
        "last_received_at": time_text(quarantined.last_received_at),
        "times": quarantined.times,
    }


def _show(found: "Sequence[QuarantinedSale]") -> None:
    from bulonera_sync.cli.pages import Column, Page

    now = datetime.now(UTC)
    page = Page()
    if not found:
        page.say(phrase("Nothing is in quarantine: every upload had a valid local_id."))
        page.show()
        return
    page.table(
        (
            Column(phrase("Id"), is_right=True),
            Column(phrase("Last came")),
            Column(phrase("User"), rank=1, least=6),
            Column(phrase("Times"), rank=3, is_right=True),
            Column(phrase("Size"), rank=2, is_right=True),
        ),
        [
            (
                str(each.id),
                ago(each.last_received_at, now),
                each.username,
                whole(each.times),
                size(len(each.payload.encode())),
            )
            for each in found
        ],
        notes=[_reason(each) for each in found],
    )
    page.gap()
    page.say(
        phrase("Next: bulonera-sync quarantine show {id} shows what was sent.", id=found[0].id)
    )
    page.show()


def _reason(quarantined: "QuarantinedSale") -> str:
    return quarantined.problems[0].message if quarantined.problems else ""


@app.command("show")
def show_quarantined(
    context: typer.Context,
    quarantine_id: Annotated[
        int, typer.Argument(metavar="ID", min=1, max=MAX_ID, help="As quarantine list shows it.")
    ],
    as_json: AsJson = False,
) -> None:
    """Show what was sent, word for word, and what is wrong with it."""
    found = read(context, lambda gateway: gateway.find_quarantined(quarantine_id))
    if as_json:
        # As a text: parsed, it would say less than was sent (a key twice, a number's zeros).
        print_json({**_row(found), "payload": found.payload})
        return
    from bulonera_sync.cli.pages import Page

    zone = settings_of(context).sync.zone
    page = Page()
    page.title(phrase("Quarantine {id}, from {user}", id=found.id, user=found.username))
    page.facts(
        [
            (phrase("first came"), moment(found.received_at, zone)),
            (phrase("last came"), moment(found.last_received_at, zone)),
            (phrase("in all"), plural(found.times, "{count} time", "{count} times")),
            (phrase("size"), size(len(found.payload.encode()))),
        ]
    )
    page.title(phrase("What is wrong"))
    for problem in found.problems:
        page.say(problem.message, indent=INDENT)
    page.title(phrase("What was sent"))
    lines = list(_laid_out(found.payload))
    for depth, text in lines[:MAX_LINES]:
        page.say(text, indent=INDENT * (1 + depth))
    if len(lines) > MAX_LINES:
        text = phrase("... {count} more lines; --json has all of it", count=len(lines) - MAX_LINES)
        page.say(text, indent=INDENT)
    page.gap()
    page.say(
        phrase(
            "It can't be taken from here: the till must send it again under a UUID of its own, "
            "in canonical form."
        )
    )
    page.show()


def _laid_out(payload: str) -> Iterator[tuple[int, str]]:
    """Yield a payload's lines with their depths, each number as it was written."""
    try:
        yield from _lines(parse_kept(payload), 0, "", "")
    except ValueError:
        yield 0, payload[:MAX_LETTERS]


def _lines(value: object, depth: int, head: str, tail: str) -> Iterator[tuple[int, str]]:
    members: list[tuple[str, object]]
    match value:
        case Mapping():
            members = [(f"{_json(key)}: ", each) for key, each in value.items()]
            brackets = "{}"
        case list():
            members = [("", each) for each in value]
            brackets = "[]"
        case _:
            yield depth, f"{head}{_json(value)}{tail}"
            return
    if not members:
        yield depth, f"{head}{brackets}{tail}"
        return
    yield depth, f"{head}{brackets[0]}"
    for index, (name, each) in enumerate(members):
        comma = "," if index + 1 < len(members) else ""
        yield from _lines(each, depth + 1, name, comma)
    yield depth, f"{brackets[1]}{tail}"


def _json(value: object) -> str:
    text = str(value) if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_LETTERS else f"{text[:MAX_LETTERS]}…"
