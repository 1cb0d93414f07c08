"""`db`: the database itself."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bulonera_sync.cli.invocations import prepare, read, settings_of
from bulonera_sync.cli.output import AsJson, agreed, complain, print_json, say
from bulonera_sync.cli.words import instant, phrase, plural
from bulonera_sync.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bulonera_sync.config import StoreSettings
    from bulonera_sync.gateway import Finding
    from bulonera_sync.gateway.backups import Contents, Prospect

# What the databases' counts are of.
PHRASES = ("users", "customers", "products", "sales", "quarantine")

app = typer.Typer(
    help="The database: its schema and its health.", no_args_is_help=True, rich_markup_mode=None
)


@app.command()
def upgrade(context: typer.Context) -> None:
    """Make the database, or bring its schema up to date (a populated SQLite file is copied)."""
    settings = settings_of(context)
    asyncio.run(prepare(settings))
    say(phrase("{url} is up to date.", url=settings.store.shown_url))


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
        text = phrase(
            "{url} is damaged in {count} places; stop the daemon, keep the database as it is and "
            "restore a backup beside it",
            url=settings.store.shown_url,
            count=len(findings),
        )
        raise RefusedError(text)
    if not as_json:
        facts = {"url": settings.store.shown_url, "told": _counts(counts)}
        say(phrase("{url} is sound and its schema is current: {told}.", **facts))


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

    settings = settings_of(context)
    zone = settings.sync.zone
    made = asyncio.run(back_up(settings.store, file))
    facts = {"file": file, "told": _told(made.contents, zone), "size": made.size_bytes}
    say(phrase("{file}: {told}; {size} bytes.", **facts))


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

    settings = settings_of(context)
    store, zone = settings.store, settings.sync.zone
    if not yes and not (sys.stdin.isatty() and sys.stdout.isatty()):
        text = phrase(
            "restoring replaces {url}, and there is no terminal to ask on; --yes agrees to it",
            url=store.shown_url,
        )
        raise RefusedError(text)
    with _without_daemon(store):
        prospect = asyncio.run(survey_restore(store, file))
        _refuse_unknown_numbers(store, prospect, skip, zone)
        if not yes:
            _ask(store, file, prospect, zone)
        now = datetime.now(UTC)
        restored, findings = asyncio.run(restore(store, file, now=now, spare=skip or 0))
    told = _told(restored.contents, zone)
    say(phrase("{url} is restored: {told}.", url=store.shown_url, told=told))
    if restored.kept is not None:
        say(phrase("What was there before is kept in {file}.", file=restored.kept))
        _tell_of_later(prospect.later, restored.kept)
    if prospect.present is None and skip is None:
        text = phrase(
            "Warning: no database was there, so numbers issued after the backup ({age}) are not "
            "known and would be issued again; if sales were taken since, restore once more with "
            "--skip N",
            age=_age(prospect.backup, zone),
        )
        complain(text)
    if findings:
        first = findings[0]
        text = phrase(
            "the backup is restored and damaged in {count} places, the first: {first}; "
            "bulonera-sync db check shows them",
            count=len(findings),
            first=f"{first.place} {first.text}",
        )
        raise RefusedError(text)


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
            raise RefusedError(phrase("{who}; stop it before you restore", who=who)) from error
        yield


def _refuse_unknown_numbers(
    store: "StoreSettings", prospect: "Prospect", skip: int | None, zone: tzinfo
) -> None:
    if prospect.problem is not None and skip is None:
        text = phrase(
            "{url} can't be read ({why}), so which numbers it issued after the backup ({age}) is "
            "not known; --skip N leaves N of them unused: more than can have been sold since",
            url=store.shown_url,
            why=prospect.problem,
            age=_age(prospect.backup, zone),
        )
        raise RefusedError(text)


def _ask(store: "StoreSettings", file: Path, prospect: "Prospect", zone: tzinfo) -> None:
    present = prospect.present
    now = _told(present, zone) if present else prospect.problem or phrase("nothing yet")
    say(phrase("Now, {url}: {told}.", url=store.shown_url, told=now))
    say(phrase("The backup, {file}: {told}.", file=file, told=_told(prospect.backup, zone)))
    say(
        phrase(
            "Users, tokens and allowances become the backup's. What is there now is kept in a file."
        )
    )
    if prospect.later:
        text = plural(
            prospect.later,
            "{count} sale there is not in the backup: it will be only in that file and on the "
            "tills, which must send it again.",
            "{count} sales there are not in the backup: they will be only in that file and on the "
            "tills, which must send them again.",
        )
        say(text)
    if not agreed(phrase("Replace what is there now by the backup?")):
        raise RefusedError(phrase("nothing was restored, as you said"))


def _tell_of_later(count: int, kept: Path) -> None:
    if count:
        text = plural(
            count,
            "Warning: {count} sale taken after the backup is only in {file} and on the tills: keep "
            "that file, and have the tills send everything again.",
            "Warning: {count} sales taken after the backup are only in {file} and on the tills: "
            "keep that file, and have the tills send everything again.",
            file=kept,
        )
        complain(text)


def _told(contents: "Contents", zone: tzinfo) -> str:
    return f"{_counts(contents.counts)}; {_age(contents, zone)}"


def _counts(counts: "Mapping[str, int]") -> str:
    return ", ".join(f"{count} {phrase(name)}" for name, count in counts.items())


def _age(contents: "Contents", zone: tzinfo) -> str:
    if contents.latest is None:
        return phrase("no sale yet")
    return phrase("the last change at {time}", time=instant(contents.latest, zone))
