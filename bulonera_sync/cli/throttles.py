"""`throttle`: what is left of each user's allowance, and giving it back."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from bulonera_sync.cli.invocations import read, settings_of, write
from bulonera_sync.cli.output import AsJson, listing, print_json, say
from bulonera_sync.cli.words import phrase, until

if TYPE_CHECKING:
    from datetime import datetime

    from bulonera_sync.gateway import Gateway
    from bulonera_sync.throttle import Grant

app = typer.Typer(
    help="The throttle: how many requests each user has left.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def show(
    context: typer.Context,
    user: Annotated[str | None, typer.Argument(metavar="[USER]", help="Only this user's.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what is left of the allowances; looking costs nothing."""

    async def left(gateway: "Gateway") -> "Mapping[str, Grant]":
        if user is not None:
            await gateway.find_account(user)
        grants = await gateway.allowances()
        return {name: grant for name, grant in grants.items() if user in (None, name)}

    grants = read(context, left)
    rate = settings_of(context).sync.throttle
    if as_json:
        print_json(listing([_row(name, grant) for name, grant in grants.items()], throttle=rate))
    elif rate == "off":
        say(phrase('The throttle is off ([sync] throttle = "off"): nobody is ever refused.'))
    elif not grants:
        say(phrase("No users yet: bulonera-sync user add NAME adds the first."))
    else:
        _show(rate, grants)


def _row(name: str, grant: "Grant") -> Mapping[str, object]:
    return {
        "username": name,
        "limit": grant.limit,
        "remaining": grant.remaining,
        "reset_seconds": grant.reset_seconds,
        "wait_seconds": grant.wait_seconds,
    }


def _show(rate: str, grants: "Mapping[str, Grant]") -> None:
    from datetime import UTC, datetime

    from bulonera_sync.cli.pages import Column, Page

    now = datetime.now(UTC)
    page = Page()
    page.title(phrase("{rate} a user, all of it at once if need be.", rate=rate))
    page.gap()
    page.table(
        (
            Column(phrase("User"), least=10),
            Column(phrase("Left"), is_right=True),
            Column(phrase("Of"), rank=2, is_right=True),
            Column(phrase("Next request")),
            Column(phrase("Full again"), rank=1),
        ),
        [
            (name, str(g.remaining), str(g.limit), _in(g.wait_seconds, now), _full(g, now))
            for name, g in grants.items()
        ],
    )
    if any(not grant.is_allowed for grant in grants.values()):
        page.gap()
        page.say(phrase("bulonera-sync throttle reset USER lets somebody go on at once."))
    page.show()


def _in(seconds: int, now: "datetime") -> str:
    from datetime import timedelta

    return until(now + timedelta(seconds=seconds), now)


def _full(grant: "Grant", now: "datetime") -> str:
    return phrase("is full") if grant.reset_seconds == 0 else _in(grant.reset_seconds, now)


@app.command()
def reset(
    context: typer.Context,
    user: Annotated[str, typer.Argument(metavar="USER", help="Who gets the whole allowance.")],
) -> None:
    """Give a user the whole allowance back, within a second."""
    write(context, lambda gateway: gateway.reset_allowance(user))
    rate = settings_of(context).sync.rate
    if rate is None:
        say(phrase("Done, but the throttle is off: nobody is ever refused."))
        return
    say(
        phrase(
            "{user} has all {limit} requests again, within a second.", user=user, limit=rate.limit
        )
    )
