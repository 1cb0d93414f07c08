"""`stats`: how it stands, and whether it needs a person."""

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bulonera_sync.cli.invocations import read, settings_of
from bulonera_sync.cli.languages import source_words
from bulonera_sync.cli.output import AsJson, print_json
from bulonera_sync.cli.sentences import reason
from bulonera_sync.cli.watches import Watched, refuse_unwatchable, watch
from bulonera_sync.cli.words import ago, phrase, plural, size, whole
from bulonera_sync.times import time_text

if TYPE_CHECKING:
    from bulonera_sync.cli.daemons import Health
    from bulonera_sync.cli.pages import Page
    from bulonera_sync.cli.watches import Draw
    from bulonera_sync.config import Settings
    from bulonera_sync.gateway import Gateway, Standing

NEEDS_A_PERSON = 1
PAGE = 1_000


@dataclass(frozen=True, slots=True)
class LogState:
    """The log's file: how large, last written when, and what keeps it from being written."""

    file: Path
    size_bytes: int | None
    written_at: datetime | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class State:
    """All there is to tell; `incurable` counts the errors that only a person can cure."""

    standing: "Standing"
    incurable: int
    database: str
    size_bytes: int
    health: "Health"
    log: LogState


def stats(
    context: typer.Context,
    is_watched: Watched = False,
    is_for_cron: Annotated[
        bool,
        typer.Option("--exit-code", help="Exit with 1 when something needs a person, else 0."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show how it stands.

    What needs a person, what waits, who uploaded when, and whether the daemon runs.
    """
    settings = settings_of(context)
    if is_watched:
        refuse_unwatchable(is_document=as_json)
        if is_for_cron:
            text = phrase("--watch never ends with one")
            raise typer.BadParameter(text, param_hint="--exit-code")
        read(context, lambda gateway: watch(gateway, _drawing(settings), settings.sync.zone))
        return
    # A document says the same in every language, what is wrong included.
    with source_words() if as_json else nullcontext():
        state = read(context, lambda gateway: _look(gateway, settings))
        if as_json:
            print_json(_document(state))
    if not as_json:
        _page(state, datetime.now(UTC)).show()
    if is_for_cron and any(_needs(state)):
        raise typer.Exit(NEEDS_A_PERSON)


def _drawing(settings: "Settings") -> "Draw":
    async def draw(gateway: "Gateway", now: datetime) -> "Page":
        return _page(await _look(gateway, settings), now)

    return draw


async def _look(gateway: "Gateway", settings: "Settings") -> State:
    from bulonera_sync.cli.daemons import ask

    # The schema is the program's own: no gateway opens on another.
    standing = await gateway.standing()
    return State(
        standing=standing,
        incurable=await _count_incurable(gateway) if standing.sales["error"] else 0,
        database=settings.store.shown_url,
        size_bytes=await gateway.size_bytes(),
        health=await asyncio.to_thread(ask, settings.server),
        log=_look_at_log(settings.log.file),
    )


async def _count_incurable(gateway: "Gateway") -> int:
    from bulonera_sync.checks import is_curable

    count = after_id = 0
    while True:
        rows, _ = await gateway.pending(
            sync_statuses=("error",), user_id=None, after_id=after_id, limit=PAGE
        )
        count += sum(not is_curable(row.problems) for row in rows)
        if len(rows) < PAGE:
            return count
        after_id = rows[-1].id


def _look_at_log(file: Path) -> LogState:
    try:
        found = file.stat()
    except FileNotFoundError:
        return LogState(file, None, None, _folder_problem(file.parent))
    except OSError as error:
        return LogState(file, None, None, reason(error))
    written_at = datetime.fromtimestamp(found.st_mtime, UTC)
    problem = None if os.access(file, os.W_OK) else phrase("it can't be written by this user")
    return LogState(file, found.st_size, written_at, problem)


def _folder_problem(folder: Path) -> str | None:
    """Return why the file can't be made in the nearest folder there is."""
    nearest = next(each for each in (folder, *folder.parents) if each.exists())
    if not nearest.is_dir():
        return phrase("{path} is no folder", path=nearest)
    if os.access(nearest, os.W_OK):
        return None
    return phrase("{path} can't be written by this user", path=nearest)


def _needs(state: State) -> Iterator[str]:
    """Yield what needs a person, each with the command to go on with."""
    sales, standing = state.standing.sales, state.standing
    if state.incurable:
        yield plural(
            state.incurable,
            "{count} sale must be corrected: bulonera-sync pending",
            "{count} sales must be corrected: bulonera-sync pending",
        )
    if standing.dead:
        yield plural(
            standing.dead,
            "{count} sale is no longer tried by itself: import what it waits for, or "
            "bulonera-sync retry",
            "{count} sales are no longer tried by themselves: import what they wait for, or "
            "bulonera-sync retry",
        )
    if sales["conflict"]:
        yield plural(
            sales["conflict"],
            "{count} sale is in conflict: bulonera-sync conflicts",
            "{count} sales are in conflict: bulonera-sync conflicts",
        )
    if standing.quarantined_lately:
        yield plural(
            standing.quarantined_lately,
            "{count} upload went into quarantine this week: bulonera-sync quarantine list",
            "{count} uploads went into quarantine this week: bulonera-sync quarantine list",
        )
    if not state.health.is_up:
        yield phrase(
            "The daemon does not answer at {address}: bulonera-sync serve",
            address=state.health.address,
        )


def _document(state: State) -> Mapping[str, object]:
    standing, log = state.standing, state.log
    return {
        "sales": dict(standing.sales),
        "oldest_unsynced": time_text(standing.oldest_unsynced),
        "last_uploads": {name: time_text(at) for name, at in standing.last_uploads.items()},
        "retries_due": standing.due,
        "dead": standing.dead,
        "to_correct": state.incurable,
        "quarantined": standing.quarantined,
        "database": {"url": state.database, "size_bytes": state.size_bytes, "schema": "current"},
        "daemon": {
            "address": state.health.address,
            "reachable": state.health.is_up,
            "problem": state.health.problem,
        },
        "log": {
            "file": str(log.file),
            "size_bytes": log.size_bytes,
            "last_write": time_text(log.written_at),
            "problem": log.problem,
        },
        "needs_a_person": list(_needs(state)),
    }


def _page(state: State, now: datetime) -> "Page":
    from bulonera_sync.cli.pages import Page

    page = Page()
    needs = list(_needs(state))
    if needs:
        page.title(phrase("Needs a person"))
        for need in needs:
            page.say(need, indent=2)
    else:
        page.title(phrase("All is well: nothing needs a person."))
    page.title(phrase("Sales"))
    page.facts(_sales_facts(state.standing, now))
    page.title(phrase("Last uploads"))
    page.facts(_uploads(state.standing, now) or [(phrase("No users yet"), "")])
    page.title(phrase("Gateway"))
    page.facts(_gateway_facts(state, now))
    return page


def _sales_facts(standing: "Standing", now: datetime) -> Sequence[tuple[str, str]]:
    oldest, sales = standing.oldest_unsynced, standing.sales
    counts = [
        (phrase("  synced"), whole(sales["synced"])),
        (phrase("  in error"), whole(sales["error"])),
        (phrase("  queued"), whole(sales["pending"])),
        (phrase("  in conflict"), whole(sales["conflict"])),
        (phrase("  retries due"), whole(standing.due)),
    ]
    if oldest is None:
        return counts
    return [*counts, (phrase("  oldest not in"), ago(oldest, now))]


def _uploads(standing: "Standing", now: datetime) -> Sequence[tuple[str, str]]:
    return [
        (f"  {name}", phrase("never") if at is None else ago(at, now))
        for name, at in standing.last_uploads.items()
    ]


def _gateway_facts(state: State, now: datetime) -> Sequence[tuple[str, str]]:
    health, log = state.health, state.log
    daemon = phrase("up at {address}", address=health.address)
    if health.problem is not None:
        daemon = phrase("no answer at {address}: {why}", address=health.address, why=health.problem)
    return [
        (phrase("  daemon"), daemon),
        (
            phrase("  database"),
            phrase(
                "{url}, {size}, schema current",
                url=state.database,
                size=size(state.size_bytes),
            ),
        ),
        (phrase("  log"), _log_text(log, now)),
    ]


def _log_text(log: LogState, now: datetime) -> str:
    parts = [str(log.file)]
    if log.size_bytes is not None and log.written_at is not None:
        parts += [size(log.size_bytes), phrase("written {age}", age=ago(log.written_at, now))]
    elif log.problem is None:
        parts.append(phrase("nothing written yet"))
    if log.problem is not None:
        parts.append(phrase("PROBLEM: {problem}", problem=log.problem))
    return ", ".join(parts)
