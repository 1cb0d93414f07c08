"""The command line's entry: which commands there are, and what an error comes to."""

import gc
import logging
import os
import secrets
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from bulonera_sync import __version__
from bulonera_sync.cli import (
    catalog,
    certificates,
    configuration,
    conflicts,
    database,
    log,
    pending,
    quarantine,
    resolutions,
    retries,
    sales,
    serve,
    service,
    statistics,
    throttles,
    users,
    views,
)
from bulonera_sync.cli.invocations import Invocation
from bulonera_sync.cli.languages import choose_language, is_source
from bulonera_sync.cli.output import complain, say
from bulonera_sync.cli.sentences import retold
from bulonera_sync.cli.words import phrase
from bulonera_sync.errors import (
    BuloneraError,
    ConfigError,
    SchemaError,
    StoreUnavailableError,
)

logger = logging.getLogger("bulonera_sync")

# The first class that an error is one of decides.
EXIT_CODES: Sequence[tuple[type[BuloneraError], int]] = (
    (ConfigError, 3),
    (StoreUnavailableError, 4),
    (SchemaError, 4),
    (BuloneraError, 1),
)
UNEXPECTED = 1
INTERRUPTED = 130
PIPE_CLOSED = 1
# A shell that wants to know what a word may be sets it.
COMPLETION_VARIABLE = "_BULONERA_SYNC_COMPLETE"

# Plain help: rich would take as long to import as a light command to run.
app = typer.Typer(
    name="bulonera-sync",
    help="The gateway in the back room that keeps what the tablets sold.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(serve.serve)
app.command()(pending.pending)
app.command()(conflicts.conflicts)
app.command()(views.show)
app.command()(retries.retry)
app.command()(statistics.stats)
app.command()(sales.history)
app.command()(sales.edit)
app.command()(resolutions.resolve)
app.command()(log.log)
app.add_typer(users.users, name="user")
app.add_typer(users.tokens, name="token")
app.add_typer(catalog.app, name="catalog")
app.add_typer(throttles.app, name="throttle")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(database.app, name="db")
app.add_typer(configuration.app, name="config")
app.add_typer(certificates.app, name="tls")
app.add_typer(service.app, name="service")
app.command()(configuration.init)


def _print_version(*, is_wanted: bool) -> None:
    if is_wanted:
        say(f"bulonera-sync {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            # That it can't be read is a matter of the configuration, told by reading it.
            readable=False,
            help="The settings' file, else $BULONERA_CONFIG, else ./config.toml.",
        ),
    ] = None,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Show the version and exit.",
            is_eager=True,
            callback=lambda value: _print_version(is_wanted=value),
        ),
    ] = False,
) -> None:
    context.obj.config = config


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line, the process's own unless given; return its exit code.

    0 done, 1 the operation failed, 2 wrong usage, 3 configuration, 4 database (contract 10).
    """
    # A command ends before there is garbage worth collecting; `serve` turns it on again.
    gc.disable()
    # pydantic would look for plugins through the metadata of every package that is installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    choose_language(os.environ)
    for stream in (sys.stdout, sys.stderr):
        _never_fail_on_letters(stream)
    invocation = Invocation()
    try:
        code = _run(arguments, invocation)
        sys.stdout.flush()
    except BrokenPipeError:
        _let_go_of_stdout()
        return PIPE_CLOSED
    except BuloneraError as error:
        complain(phrase("Error: {what}", what=retold(str(error))))
        return next(code for kind, code in EXIT_CODES if isinstance(error, kind))
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort: one line, the rest in a file
        facts = {"kind": type(error).__name__, "where": _keep_details(error, invocation)}
        complain(phrase("Error: unexpected {kind}; the details are in {where}", **facts))
        return UNEXPECTED
    return code


def run() -> NoReturn:
    """Be the program: run the process's command line and end with its exit code."""
    code = main()
    # Python looks through every object once more at its end, for nothing: that takes as long as
    # the command itself.
    gc.freeze()
    sys.exit(code)


def _run(arguments: Sequence[str] | None, invocation: Invocation) -> int:
    if COMPLETION_VARIABLE in os.environ:
        from bulonera_sync.cli.completions import attach

        attach(app)
    try:
        command = typer.main.get_command(app)
        if not is_source():
            from bulonera_sync.cli.helps import translate_help

            translate_help(command)
        code = command.main(
            arguments, standalone_mode=False, obj=invocation, prog_name="bulonera-sync"
        )
    except typer.TyperException as error:
        _explain_usage(error)
        return error.exit_code
    # Typer hands over the code of an Exit, or else what the command returned: nothing.
    return code if isinstance(code, int) else 0


def _explain_usage(error: typer.TyperException) -> None:
    context: typer.Context | None = getattr(error, "ctx", None)
    if context is None:
        complain(phrase("Error: {what}", what=retold(error.format_message())))
    elif error.message == context.get_help():
        # A group without its command: the help says which there are.
        typer.echo(error.message, err=True)
    else:
        message = error.format_message().removesuffix(".")
        facts = {"what": retold(message), "command": context.command_path}
        complain(phrase("Error: {what}; {command} --help shows the usage", **facts))


def _keep_details(error: Exception, invocation: Invocation) -> str:
    """Write the traceback where it lasts; return where."""
    error_id = secrets.token_hex(8)
    if invocation.settings is not None:
        from bulonera_sync.logs import open_log

        with open_log(invocation.settings.log) as log:
            logger.error("Unexpected error", exc_info=error, extra={"error_id": error_id})
            if log.flush() and log.problem is None:
                return f"{invocation.settings.log.file} (error_id {error_id})"
    with tempfile.NamedTemporaryFile(
        "w", prefix="bulonera-sync-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.writelines(traceback.format_exception(error))
    return file.name


def _never_fail_on_letters(stream: object) -> None:
    # A terminal that knows no "ñ" gets its code; a command must not fail for it.
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def _let_go_of_stdout() -> None:
    # Python flushes once more at its end, and would complain of the pipe then.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
