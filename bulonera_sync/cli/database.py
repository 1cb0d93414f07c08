"""`db`: the database itself."""

import asyncio
from typing import TYPE_CHECKING

import typer

from bulonera_sync.cli.invocations import prepare, read, settings_of
from bulonera_sync.cli.output import AsJson, print_json, say

if TYPE_CHECKING:
    from bulonera_sync.gateway import Gateway

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

    async def examine(gateway: "Gateway") -> dict[str, object]:
        await gateway.check()
        accounts = await gateway.list_accounts()
        _, customers = await gateway.list_catalog("customers", limit=1)
        _, products = await gateway.list_catalog("products", limit=1)
        return {"users": len(accounts), "customers": customers, "products": products}

    counts = read(context, examine)
    if as_json:
        print_json({"status": "ok", "url": settings.store.shown_url, **counts})
        return
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    say(f"{settings.store.shown_url} is reachable and up to date: {told}.")
