"""`db`: the database itself."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bulonera_sync.cli.invocations import prepare, read, settings_of
from bulonera_sync.cli.output import AsJson, complain, print_json, say, time_text
from bulonera_sync.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bulonera_sync.config import StoreSettings
    from bulonera_sync.gateway import Finding
    from bulonera_sync.gateway.backups import Contents, Prospect

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


File = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]


@app.command()
def backup(context: typer.Context, file: File) -> None:
    """Write a backup, while the daemon runs too; an older one in FILE is replaced at the end.

    It is read over before it gets its name. For a Postgres, pg_dump and pg_restore must be on PATH.
    """
    from bulonera_sync.gateway.backups import back_up

    made = asyncio.run(back_up(settings_of(context).store, file))
    say(f"{file}: {_told(made.contents)}; {made.size_bytes} bytes.")


@app.command()
def restore(
    context: typer.Context,
    file: File,
    yes: Annotated[bool, typer.Option("--yes", help="Agree beforehand to what is asked.")] = False,
    skip: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            max=1_000_000,
            help="Leave N ids and numbers after the backup's last unused, for those issued since "
            "then by a database that is gone.",
        ),
    ] = None,
) -> None:
    """Put a backup in the database's place, while no daemon runs; that database is kept.

    Users, tokens and allowances are the backup's then. A number or id once issued is not issued
    again. For a Postgres, pg_dump, pg_restore and psql must be on PATH.
    """
    from datetime import UTC, datetime

    from bulonera_sync.gateway.backups import restore, survey_restore

    store = settings_of(context).store
    if not yes and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise RefusedError(
            f"restoring replaces {store.shown_url}, and there is no terminal to ask on; "
            f"--yes agrees to it"
        )
    with _without_daemon(store):
        prospect = asyncio.run(survey_restore(store, file))
        _refuse_unknown_numbers(store, prospect, skip)
        if not yes:
            _ask(store, file, prospect)
        now = datetime.now(UTC)
        restored, findings = asyncio.run(restore(store, file, now=now, spare=skip or 0))
    say(f"{store.shown_url} is restored: {_told(restored.contents)}.")
    if restored.kept is not None:
        say(f"What was there before is kept in {restored.kept}.")
    if prospect.present is None and skip is None:
        complain(
            f"Warning: no database was there, so numbers issued after the backup "
            f"({_age(prospect.backup)}) are not known and would be issued again; if sales were "
            f"taken since, restore once more with --skip N"
        )
    if findings:
        first = findings[0]
        raise RefusedError(
            f"the backup is restored and damaged in {len(findings)} places, the first: "
            f"{first.place} {first.text}; bulonera-sync db check shows them"
        )


@contextmanager
def _without_daemon(store: "StoreSettings") -> Iterator[None]:
    """Keep daemons off an SQLite file; the gateway looks for those of a Postgres."""
    from bulonera_sync.cli.locks import only_daemon_on

    if store.sqlite_path is None:
        yield
        return
    with ExitStack() as stack:
        try:
            stack.enter_context(only_daemon_on(store.sqlite_path))
        except RefusedError as error:
            who = str(error).partition(";")[0]
            raise RefusedError(f"{who}; stop it before you restore") from error
        yield


def _refuse_unknown_numbers(store: "StoreSettings", prospect: "Prospect", skip: int | None) -> None:
    if prospect.problem is not None and skip is None:
        raise RefusedError(
            f"{store.shown_url} can't be read ({prospect.problem}), so which numbers it issued "
            f"after the backup ({_age(prospect.backup)}) is not known; --skip N leaves N of them "
            f"unused: more than can have been sold since"
        )


def _ask(store: "StoreSettings", file: Path, prospect: "Prospect") -> None:
    present = prospect.present
    now = _told(present) if present else prospect.problem or "nothing yet"
    say(f"Now, {store.shown_url}: {now}.")
    say(f"The backup, {file}: {_told(prospect.backup)}.")
    say("Users, tokens and allowances become the backup's. What is there now is kept in a file.")
    if not typer.confirm("Replace what is there now by the backup?"):
        raise RefusedError("nothing was restored, as you said")


def _told(contents: "Contents") -> str:
    counts = ", ".join(f"{count} {name}" for name, count in contents.counts.items())
    return f"{counts}; {_age(contents)}"


def _age(contents: "Contents") -> str:
    latest = time_text(contents.latest)
    return "no sale yet" if latest is None else f"the last change at {latest}"
