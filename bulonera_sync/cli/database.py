"""`db`: the database itself."""

import asyncio
from typing import TYPE_CHECKING

import typer

from bulonera_sync.cli.invocations import prepare, read, settings_of
from bulonera_sync.cli.output import AsJson, complain, print_json, say
from bulonera_sync.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bulonera_sync.gateway import Finding

app = typer.Typer(
    help="The database: its schema and its health.", no_args_is_help=True, rich_markup_mode=None
)


@app.command()
def upgrade(context: typer.Context) -> None:
    """Make the database, or bring its schema up to date (a populated SQLite file is copied)."""
    settings = settings_of(context)
    asyncio.run(prepare(settings))
    say(f"{settings.store.shown_url} is up to date.")


@app.command()
def check(context: typer.Context, as_json: AsJson = False) -> None:
    """Say whether the database can be reached, has this program's schema and is sound."""
    settings = settings_of(context)
    counts, findings = read(context, lambda gateway: gateway.examine())
    if as_json:
        _print_examination(settings.store.shown_url, counts, findings)
    for finding in findings:
        complain(f"{finding.place}: {finding.text}")
    if findings:
        raise RefusedError(
            f"{settings.store.shown_url} is damaged in {len(findings)} places; stop the daemon, "
            f"keep the database as it is and restore a backup beside it"
        )
    if not as_json:
        told = ", ".join(f"{count} {name}" for name, count in counts.items())
        say(f"{settings.store.shown_url} is sound and its schema is current: {told}.")


def _print_examination(
    url: str, counts: "Mapping[str, int]", findings: "Sequence[Finding]"
) -> None:
    damage = [{"place": each.place, "text": each.text} for each in findings]
    status = "damaged" if damage else "ok"
    print_json({"status": status, "url": url, "counts": dict(counts), "damage": damage})
