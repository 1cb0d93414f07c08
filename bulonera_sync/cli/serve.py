"""`serve`: the daemon, from its lock to its orderly end."""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bulonera_sync import __version__
from bulonera_sync.cli.invocations import invocation_of, open_prepared, settings_of
from bulonera_sync.cli.output import complain, say
from bulonera_sync.cli.words import phrase

if TYPE_CHECKING:
    from bulonera_sync.config import Settings, StoreSettings
    from bulonera_sync.gateway import Gateway
    from bulonera_sync.logs import Log

    Greet = Callable[[Gateway, str], Awaitable[None]]

logger = logging.getLogger("bulonera_sync")


def serve(
    context: typer.Context,
    demo: Annotated[
        bool,
        typer.Option(
            "--demo", help="Try it out: own data, users and catalogue; this machine only."
        ),
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where --demo keeps its data; else it is removed at the end."
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, max=65_535, help="In place of [server] port."),
    ] = None,
) -> None:
    """Run the daemon that the tills talk to, until SIGTERM or Ctrl-C."""
    gc.enable()
    if data is not None and not demo:
        raise typer.BadParameter(phrase("it goes with --demo"), param_hint="--data")
    settings = _with_port(settings_of(context), port)
    if not demo:
        _run(settings, _greet)
        return
    from bulonera_sync.cli.demo import demo_settings, greet_with_demo

    with demo_settings(settings, data) as settings:
        # Where the details of an unexpected error go is the demo's log, too.
        invocation_of(context).settings = settings
        _run(settings, greet_with_demo)


def _with_port(settings: "Settings", port: int | None) -> "Settings":
    if port is None:
        return settings
    return settings.model_copy(update={"server": settings.server.model_copy(update={"port": port})})


async def _greet(gateway: "Gateway", address: str) -> None:
    say(phrase("Ready at {address}", address=address))


def _run(settings: "Settings", greet: "Greet") -> None:
    from bulonera_sync.logs import open_log

    with (
        _alone(settings.store),
        open_log(settings.log) as log,
        suppress(asyncio.CancelledError),
        asyncio.Runner(loop_factory=_loop_factory()) as runner,
    ):
        runner.run(_serve_until_told(settings, log, greet))


def _loop_factory() -> "Callable[[], asyncio.AbstractEventLoop] | None":
    """Return the faster loop's where the extra `fast` is installed, else Python's own (None)."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _alone(store: "StoreSettings") -> AbstractContextManager[None]:
    """Return what keeps a second daemon out; several may share one Postgres."""
    from bulonera_sync.cli.locks import only_daemon_on

    path = store.sqlite_path
    return only_daemon_on(path) if path is not None else nullcontext()


async def _serve_until_told(settings: "Settings", log: "Log", greet: "Greet") -> None:
    from bulonera_sync.cli.stops import Stop
    from bulonera_sync.cli.supervisors import Supervisor
    from bulonera_sync.server.runner import serving

    stop = Stop()
    async with (
        open_prepared(settings) as gateway,
        serving(gateway, log_lines_lost=lambda: log.lost) as address,
    ):
        loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
        started = {"address": address, "version": __version__, "loop": loop}
        logger.info("Gateway started", extra=started)
        await _warn_of_log(settings, log)
        await greet(gateway, address)
        async with Supervisor.of().watching(gateway.beat, status=address):
            await stop.wait()
        logger.info("Gateway stops: begun requests end")
    logger.info("Gateway stopped")


async def _warn_of_log(settings: "Settings", log: "Log") -> None:
    """Tell a person at once what the log itself can't: that it can't be written."""
    await asyncio.to_thread(log.flush)
    if log.problem is not None:
        text = phrase(
            "Warning: {file} can't be written, sales are taken: {why}",
            file=settings.log.file,
            why=log.problem,
        )
        complain(text)
