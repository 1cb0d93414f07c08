"""`config` and `init`: the settings in force, and a first file of them."""

import asyncio
import os
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from bulonera_sync.cli.invocations import invocation_of, prepare, settings_of
from bulonera_sync.cli.output import AsJson, listing, print_json, print_table, say
from bulonera_sync.cli.sentences import reason
from bulonera_sync.cli.words import phrase
from bulonera_sync.errors import RefusedError

app = typer.Typer(
    help="The settings: what is in force and why.", no_args_is_help=True, rich_markup_mode=None
)


@app.command()
def show(context: typer.Context, as_json: AsJson = False) -> None:
    """Show every setting in force and whose word it is; passwords are masked."""
    settings = settings_of(context)
    rows: list[dict[str, object]] = [
        {"section": each.section, "key": each.key, "value": each.value, "origin": each.origin}
        for each in settings.describe()
    ]
    if as_json:
        print_json(listing(rows, file=str(settings.source) if settings.source else None))
        return
    say(_source(settings.source))
    print_table(rows, empty="")


@app.command()
def check(context: typer.Context) -> None:
    """Say whether the settings are right, and exit with 3 if they are not."""
    source = _source(settings_of(context).source)
    say(phrase("{source} Everything is right.", source=source))


def _source(file: Path | None) -> str:
    if file is None:
        return phrase("There is no config.toml: these are the defaults.")
    return phrase("Settings of {file}.", file=file)


def init(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Where to; made when missing.")
    ] = Path(),
    force: Annotated[
        bool, typer.Option("--force", help="Write over a config.toml; a copy of it is kept.")
    ] = False,
) -> None:
    """Write a config.toml and prepare its database."""
    if invocation_of(context).config is not None:
        text = phrase("init writes a file of its own; name its folder instead of one")
        raise typer.BadParameter(text)
    file = folder / "config.toml"
    copy = _put_aside(file) if force else None
    _write_example(file)
    # From here on the command runs on the new file, and so does whoever reads its errors.
    invocation_of(context).config = file
    settings = settings_of(context)
    asyncio.run(prepare(settings))
    if copy is not None:
        say(phrase("The former {name} is kept as {copy}.", name=file.name, copy=copy))
    url = settings.store.shown_url
    say(phrase("Wrote {file} and prepared {url}.", file=file, url=url))
    _tell_next(file)


def _put_aside(file: Path) -> Path | None:
    """Rename a file that is there; return its new name."""
    copy = file.with_name(f"{file.name}.{datetime.now(UTC):%Y%m%dT%H%M%SZ}.bak")
    try:
        return file.replace(copy)
    except FileNotFoundError:
        return None
    except OSError as error:
        text = phrase("{file} can't be put aside: {why}", file=file, why=reason(error))
        raise RefusedError(text) from error


def _write_example(file: Path) -> None:
    from bulonera_sync.config import read_example

    _make_folder(file.parent)
    try:
        # For its owner alone: a database's password may come to stand in it.
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        text = phrase("{file} is there already; --force writes a new one over it", file=file)
        raise RefusedError(text) from error
    except OSError as error:
        text = phrase("{file} can't be written: {why}", file=file, why=reason(error))
        raise RefusedError(text) from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(read_example())


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        text = phrase("{file} can't be made: {why}", file=folder, why=reason(error))
        raise RefusedError(text) from error


def _tell_next(file: Path) -> None:
    command = "bulonera-sync"
    if file.parent.resolve() != Path.cwd():
        command = f"{command} --config {shlex.quote(str(file))}"
    say(phrase("What comes next:"))
    for line in (
        "catalog import customers FILE.csv",
        "catalog import products FILE.csv",
        "user add NAME --role cashier",
        "serve",
    ):
        say(f"  {command} {line}")
