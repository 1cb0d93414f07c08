"""`service`: the daemon as what systemd starts, watches and starts again."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bulonera_sync.cli.invocations import settings_of
from bulonera_sync.cli.output import AsJson, print_json, say
from bulonera_sync.cli.words import instant, phrase, whole
from bulonera_sync.errors import RefusedError
from bulonera_sync.times import time_text

if TYPE_CHECKING:
    from bulonera_sync.config import Settings

app = typer.Typer(
    help="The daemon as a service of systemd.", no_args_is_help=True, rich_markup_mode=None
)

# The words of systemd that a person reads in the table.
PHRASES = ("active", "activating", "deactivating", "failed", "inactive")


@app.command()
def install(
    context: typer.Context,
    print_only: Annotated[
        bool, typer.Option("--print", help="Print the unit, and change nothing.")
    ] = False,
) -> None:
    """Run the daemon under systemd from now on, as a user of its own (root)."""
    from bulonera_sync.cli.units import stored_by, unit_text

    settings = settings_of(context)
    config = _config(settings)
    unit = unit_text(settings, config, program())
    if print_only:
        typer.echo(unit, nl=False)
        return
    from bulonera_sync.cli.machines import Machine

    machine = Machine()
    machine.check()
    words = [str(word) for word in program()]
    # Before anything is given away: a user that can't come to the program gets nothing.
    machine.try_as_user([*words, "--version"])
    machine.hand_over(stored_by(settings), config)
    machine.try_as_user([*words, "--config", str(config), "config", "check"])
    machine.start(unit)
    _tell_installed(machine.unit, machine.user, config)


@app.command()
def uninstall(context: typer.Context) -> None:
    """Stop the service and remove its unit; the data stay (root)."""
    from bulonera_sync.cli.machines import Machine
    from bulonera_sync.cli.units import folders_of

    machine = Machine()
    machine.check()
    unit = machine.stop()
    say(phrase("Stopped the service and removed {file}.", file=machine.unit))
    folders = ", ".join(map(str, folders_of(unit)))
    text = phrase(
        "The data stay in {folders}, and belong to the user {user}.",
        folders=folders,
        user=machine.user,
    )
    say(text)


@app.command()
def status(context: typer.Context, as_json: AsJson = False) -> None:
    """Show how the service stands, and exit with 1 unless it runs."""
    from bulonera_sync.cli.machines import Machine, shown

    Machine().check(as_root=False)
    settings = settings_of(context)
    standing = standing_of(shown())
    if as_json:
        print_json(document_of(standing))
    else:
        _show(standing, settings.sync.zone)
    if standing.state != "active":
        raise typer.Exit(1)


def program() -> Sequence[Path | str]:
    """Return this program as a service starts it."""
    # -P: no module is taken from the folder that it is started in.
    return [Path(sys.executable), "-P", "-m", "bulonera_sync"]


def _config(settings: "Settings") -> Path:
    """Return the configuration's file; raises `RefusedError` where the service lacked a setting."""
    if settings.source is None:
        text = phrase(
            "there is no config.toml here; stand in the store's folder, or name it with --config"
        )
        raise RefusedError(text)
    for each in settings.describe():
        if each.origin == "environment":
            from bulonera_sync.config import variable_of

            text = phrase(
                "the service won't see {variable}; put it into {file}",
                variable=variable_of(each.section, each.key),
                file=settings.source,
            )
            raise RefusedError(text)
    return settings.source


def _tell_installed(unit: Path, user: str, config: Path) -> None:
    say(phrase("The service runs, and starts with the machine: {file}.", file=unit))
    say(phrase("What comes next:"))
    command = str(Path(sys.executable).with_name("bulonera-sync"))
    say(phrase("  The data belong to {user} now; run commands as it:", user=user))
    say(f"    {shlex.join(['sudo', '-u', user, command, '--config', str(config), 'stats'])}")
    say(phrase("  What the daemon says: journalctl -u bulonera-sync"))


@dataclass(frozen=True, slots=True)
class Standing:
    """How the service stands, in systemd's words where they are texts."""

    is_installed: bool
    state: str
    detail: str
    is_started_at_boot: bool
    process: int | None
    address: str | None
    since: datetime | None
    restarts: int
    result: str


def standing_of(said: Mapping[str, str]) -> Standing:
    """Return how a service stands by its properties."""
    since = said.get("ActiveEnterTimestamp", "").removeprefix("@")
    return Standing(
        is_installed=said.get("LoadState") == "loaded",
        state=said.get("ActiveState", "inactive"),
        detail=said.get("SubState", ""),
        is_started_at_boot=said.get("UnitFileState") == "enabled",
        process=int(said.get("MainPID") or 0) or None,
        address=said.get("StatusText") or None,
        # 0 is never.
        since=datetime.fromtimestamp(int(since), UTC) if since.strip("0").isdigit() else None,
        restarts=int(said.get("NRestarts") or 0),
        result=said.get("Result", ""),
    )


def document_of(standing: Standing) -> Mapping[str, object]:
    """Return what --json prints."""
    return {
        "installed": standing.is_installed,
        "state": standing.state,
        "detail": standing.detail,
        "at_boot": standing.is_started_at_boot,
        "process": standing.process,
        "address": standing.address,
        "since": time_text(standing.since) if standing.since else None,
        "restarts": standing.restarts,
        "result": standing.result,
    }


def _show(standing: Standing, zone: tzinfo) -> None:
    from bulonera_sync.cli.pages import Page

    page = Page()
    if not standing.is_installed:
        page.say(phrase("No service is installed; bulonera-sync service install makes one."))
        page.show()
        return
    state = phrase(standing.state) if standing.state in PHRASES else standing.state
    facts = [
        (phrase("state"), state),
        (phrase("at boot"), phrase("yes") if standing.is_started_at_boot else phrase("no")),
        (phrase("restarts"), whole(standing.restarts)),
    ]
    if standing.since is not None:
        facts.append((phrase("since"), instant(standing.since, zone)))
    if standing.process is not None:
        facts.append((phrase("process"), str(standing.process)))
    if standing.address is not None:
        facts.append((phrase("address"), standing.address))
    if standing.state != "active":
        facts.append((phrase("result"), standing.result))
    page.facts(facts)
    if standing.state != "active":
        page.say(phrase("What the daemon said last: journalctl -u bulonera-sync -n 20"))
    page.show()
