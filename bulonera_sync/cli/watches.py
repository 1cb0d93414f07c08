"""Showing a page again and again on a terminal, until Ctrl-C."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Annotated

import typer

from bulonera_sync.cli.sentences import retold
from bulonera_sync.cli.words import phrase
from bulonera_sync.errors import StoreUnavailableError

if TYPE_CHECKING:
    from bulonera_sync.cli.pages import Page
    from bulonera_sync.gateway import Gateway

    Draw = Callable[[Gateway, datetime], Awaitable[Page]]

SECONDS = 2
# ECMA-48: the whole screen.
CLEAR = "\x1b[2J"

Watched = Annotated[
    bool, typer.Option("--watch", help="Show it anew every 2 seconds, until Ctrl-C.")
]


def refuse_unwatchable(*, is_document: bool) -> None:
    """Raise typer's `BadParameter` where nobody can watch."""
    if is_document or not sys.stdout.isatty():
        why = phrase("--json prints once") if is_document else phrase("this is no terminal")
        raise typer.BadParameter(why, param_hint="--watch")


async def watch(gateway: "Gateway", draw: "Draw", zone: tzinfo) -> None:
    """Draw until interrupted; a database out of reach is told on the screen and tried again."""
    sys.stdout.write(CLEAR)
    try:
        await _watch(gateway, draw, zone)
    finally:
        # The prompt comes below the page, not into it.
        sys.stdout.write("\n")


async def _watch(gateway: "Gateway", draw: "Draw", zone: tzinfo) -> None:
    while True:
        now = datetime.now(UTC)
        try:
            page = await draw(gateway, now)
        except StoreUnavailableError as error:
            page = _trouble(error)
        clock = now.astimezone(zone)
        page.redraw(phrase("{time:%H:%M:%S}, every 2 s; Ctrl-C ends it.", time=clock))
        await asyncio.sleep(SECONDS)


def _trouble(error: StoreUnavailableError) -> "Page":
    from bulonera_sync.cli.pages import Page

    page = Page()
    page.title(phrase("The database can't be used just now"))
    page.say(retold(str(error)))
    return page
