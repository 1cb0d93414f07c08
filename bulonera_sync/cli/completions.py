"""What Tab offers for a sale, a user or a status; imported only when a shell asks.

A shell asks by a variable, through the script that --show-completion prints. Whatever goes wrong
there is nothing to offer: a complaint would land in the line that somebody is typing.
"""

import asyncio
import io
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import redirect_stderr, suppress
from inspect import signature
from typing import TYPE_CHECKING

import typer
from typer.models import ParameterInfo

from bulonera_sync.cli.invocations import invocation_of, settings_of
from bulonera_sync.errors import BuloneraError, NotFoundError

if TYPE_CHECKING:
    from bulonera_sync.config import Settings
    from bulonera_sync.gateway import Gateway

    Ask = Callable[[Gateway], Awaitable["list[Offer]"]]

# A word and what a shell may say beside it.
Offer = tuple[str, str]
Complete = Callable[[typer.Context, str], list[Offer]]

# Who waits longer types on. A database that answers does so in a hundredth.
SECONDS = 2
MAX_OFFERS = 50
RECENT = 10
# Shells split, expand or even evaluate what they are given: only words that are safe in all.
_SAFE = re.compile(r"[\w.@+-]+")


def attach(app: typer.Typer) -> None:
    """Put the completions on the parameters of a command line, and of its groups."""
    for info in app.registered_commands:
        callback = info.callback
        if callback is None:
            continue
        command = info.name or callback.__name__
        for name, parameter in signature(callback).parameters.items():
            complete = COMPLETIONS.get((command, name)) or COMPLETIONS.get(("*", name))
            for each in getattr(parameter.annotation, "__metadata__", ()):
                if complete and isinstance(each, ParameterInfo):
                    each.autocompletion = complete
    for group in app.registered_groups:
        if group.typer_instance is not None:
            attach(group.typer_instance)


# From the database


def _sales_in(*sync_statuses: str) -> Complete:
    """Return what offers the unsynced sales of these states, oldest first."""

    def complete(context: typer.Context, incomplete: str) -> list[Offer]:
        return _asked(context, lambda gateway: _unsynced(gateway, sync_statuses, incomplete))

    return complete


def _any_sale(context: typer.Context, incomplete: str) -> list[Offer]:
    async def ask(gateway: "Gateway") -> list[Offer]:
        held = await _unsynced(gateway, ("error", "pending", "conflict"), incomplete)
        offers = dict(held)
        for name, status in await _others(gateway, incomplete):
            offers.setdefault(name, status)
        return list(offers.items())[:MAX_OFFERS]

    return _asked(context, ask)


async def _unsynced(
    gateway: "Gateway", sync_statuses: Collection[str], incomplete: str
) -> list[Offer]:
    rows, _ = await gateway.pending(sync_statuses=sync_statuses, user_id=None, limit=1_000)
    found = ((_name_of(row.number, row.local_id, incomplete), row.sync_status) for row in rows)
    return [(name, status) for name, status in found if name][:MAX_OFFERS]


async def _others(gateway: "Gateway", incomplete: str) -> list[Offer]:
    recent = await _recent(gateway, incomplete)
    if not incomplete:
        return recent
    return [*await gateway.numbers_beginning(incomplete, limit=MAX_OFFERS), *recent]


async def _recent(gateway: "Gateway", incomplete: str) -> list[Offer]:
    """Return the last sales by id. An id is seldom left out, so their count is about the last."""
    from bulonera_sync.sales import OPERATOR

    offers = []
    last = sum((await gateway.standing()).sales.values())
    for sale_id in range(last, max(0, last - RECENT), -1):
        with suppress(NotFoundError):
            sale = (await gateway.find_sale(OPERATOR, sale_id)).sale
            name = _name_of(sale.number, sale.local_id, incomplete)
            if name and sale.sync_status == "synced":
                offers.append((name, "synced"))
    return offers


def _name_of(number: str, local_id: str, incomplete: str) -> str | None:
    """Return what the letters begin: the number, or a local_id that is typed already."""
    if number.startswith(incomplete):
        return number
    return local_id if local_id.startswith(incomplete) else None


def _users(context: typer.Context, incomplete: str) -> list[Offer]:
    # A user to add has none of these names.
    if context.info_name == "add":
        return []

    async def ask(gateway: "Gateway") -> list[Offer]:
        accounts = await gateway.list_accounts()
        names: list[Offer] = [(each.username, each.role) for each in accounts]
        return [offer for offer in names if offer[0].startswith(incomplete)][:MAX_OFFERS]

    return _asked(context, ask)


def _asked(context: typer.Context, ask: "Ask") -> list[Offer]:
    # A warning without a log to go to would come out on stderr.
    with redirect_stderr(io.StringIO()), suppress(BuloneraError, OSError, ValueError):
        settings = _settings_of(context)
        path = settings.store.sqlite_path
        # Opening a file that is missing would make it.
        if path is None or path.exists():
            offers = asyncio.run(_in_time(settings, ask))
            return [offer for offer in offers if _SAFE.fullmatch(offer[0])]
    return []


def _settings_of(context: typer.Context) -> "Settings":
    # No callback has run: what --config says is still with the root's parameters.
    invocation_of(context).config = context.find_root().params.get("config")
    return settings_of(context)


async def _in_time(settings: "Settings", ask: "Ask") -> list[Offer]:
    from bulonera_sync.gateway import open_gateway

    async with asyncio.timeout(SECONDS), open_gateway(settings) as gateway:
        return await ask(gateway)


# Fixed words


def _statuses(_: typer.Context, incomplete: str) -> list[Offer]:
    from bulonera_sync.sales import STATUSES

    return _beginning(STATUSES, incomplete)


def _payment_statuses(_: typer.Context, incomplete: str) -> list[Offer]:
    from bulonera_sync.edits import PAYMENT_STATUSES

    return _beginning(PAYMENT_STATUSES, incomplete)


def _fiscal_statuses(_: typer.Context, incomplete: str) -> list[Offer]:
    from bulonera_sync.edits import FISCAL_STATUSES

    return _beginning(FISCAL_STATUSES, incomplete)


def _sync_statuses(_: typer.Context, incomplete: str) -> list[Offer]:
    """Offer one more state for the list that was begun."""
    from bulonera_sync.cli.pending import STATUSES

    said = incomplete.split(",")[:-1]
    before = "".join(f"{each}," for each in said)
    left = [f"{before}{each}" for each in STATUSES if each not in said]
    # A list's comma is safe in every shell.
    return _beginning(left, incomplete)


def _beginning(words: Collection[str], incomplete: str) -> list[Offer]:
    return [(word, "") for word in words if word.startswith(incomplete)]


# By command and parameter; "*" is any command that has none of its own.
COMPLETIONS: Mapping[tuple[str, str], Complete] = {
    ("*", "sale"): _any_sale,
    ("retry", "sales"): _sales_in("error"),
    ("resolve", "sale"): _sales_in("conflict"),
    ("*", "user"): _users,
    ("*", "name"): _users,
    ("edit", "status"): _statuses,
    ("edit", "payment_status"): _payment_statuses,
    ("edit", "fiscal_status"): _fiscal_statuses,
    ("pending", "status"): _sync_statuses,
}
