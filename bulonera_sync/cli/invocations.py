"""One run of a command: its settings, read when first asked for, and its way to the gateway."""

import asyncio
import getpass
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from bulonera_sync.cli.output import complain
from bulonera_sync.cli.words import phrase
from bulonera_sync.errors import SchemaError, UnpreparedError

if TYPE_CHECKING:
    from bulonera_sync.config import Settings
    from bulonera_sync.gateway import Gateway

T = TypeVar("T")
Work = Callable[["Gateway"], Awaitable[T]]
# Longer names are some program's.
MAX_LOGIN = 64


@dataclass
class Invocation:
    """What main and the command share: the file that was named, the settings once they are read."""

    config: Path | None = None
    settings: "Settings | None" = None


def invocation_of(context: typer.Context) -> Invocation:
    found = context.obj
    assert isinstance(found, Invocation)
    return found


def settings_of(context: typer.Context) -> "Settings":
    """Return the settings in force; raises `ConfigError`."""
    from bulonera_sync.config import load_settings

    invocation = invocation_of(context)
    if invocation.settings is None:
        invocation.settings = load_settings(invocation.config)
    return invocation.settings


def read(context: typer.Context, work: Work[T]) -> T:
    """Run what only reads on the open gateway; raises `SchemaError` for an unprepared database."""
    return _run(context, _on_prepared, work)


def write(context: typer.Context, work: Work[T]) -> T:
    """Run what writes on the open gateway; an empty database is prepared first."""
    return _run(context, _on_any, work)


def _run(
    context: typer.Context,
    opened: "Callable[[Settings, Work[T]], Coroutine[Any, Any, T]]",
    work: Work[T],
) -> T:
    from bulonera_sync.logs import open_log

    settings = settings_of(context)
    # What the gateway logs belongs in the log, whoever asked; without one it would go to stderr.
    with open_log(settings.log):
        return asyncio.run(opened(settings, work))


async def _on_prepared(settings: "Settings", work: Work[T]) -> T:
    from bulonera_sync.gateway import open_gateway

    try:
        async with open_gateway(settings) as gateway:
            gateway.login = login_of(os.environ)
            return await work(gateway)
    except UnpreparedError as error:
        if not _is_store_unsaid(settings):
            raise
        # A database made here would be a new, empty one, and would say that all is well.
        text = phrase(
            "there is neither a config.toml nor a database here; stand in the store's folder, or "
            "name its file with --config"
        )
        raise UnpreparedError(text) from error


def _is_store_unsaid(settings: "Settings") -> bool:
    return all(each.origin == "default" for each in settings.describe() if each.key == "url")


async def _on_any(settings: "Settings", work: Work[T]) -> T:
    async with open_prepared(settings) as gateway:
        return await work(gateway)


@asynccontextmanager
async def open_prepared(settings: "Settings") -> "AsyncIterator[Gateway]":
    """Open the gateway; a database without this program's schema is prepared first."""
    from bulonera_sync.gateway import open_gateway

    async with AsyncExitStack() as stack:
        try:
            gateway = await stack.enter_async_context(open_gateway(settings))
        except SchemaError:
            # Only now: the migrations' machinery takes as long to import as most commands to run.
            await prepare(settings)
            gateway = await stack.enter_async_context(open_gateway(settings))
        gateway.login = login_of(os.environ)
        yield gateway


def login_of(variables: Mapping[str, str]) -> str | None:
    """Return the operating system's user at this terminal; through sudo, whoever called it."""
    # Whom sudo was called by says more than root, or the daemon's own user.
    name = variables.get("SUDO_USER") or _own_login()
    # A variable's bytes need not be text, and a database takes nothing else.
    return name and name.encode(errors="replace").decode()[:MAX_LOGIN]


def _own_login() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # A container's user often has no name.
        return None


async def prepare(settings: "Settings") -> None:
    """Bring the database's schema up to date, and tell where a populated file was copied to."""
    from datetime import UTC, datetime

    from bulonera_sync.gateway import prepare_store

    copy = await prepare_store(settings.store, now=datetime.now(UTC))
    if copy is not None:
        # On stderr: a command's stdout may be one JSON document.
        text = phrase(
            "The database was copied to {copy} before its schema was brought up to date.", copy=copy
        )
        complain(text)
