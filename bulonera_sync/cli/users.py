"""`user` and `token`: who may come in."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bulonera_sync.cli.invocations import read, settings_of, write
from bulonera_sync.cli.output import AsJson, listing, print_json, print_table, say
from bulonera_sync.cli.words import moment, phrase
from bulonera_sync.times import time_text

if TYPE_CHECKING:
    from bulonera_sync.gateway import Account, Gateway, IssuedToken, TokenEntry

Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")]

MAX_ID = 2**63 - 1
PHRASES = ("cashier", "manager")

users = typer.Typer(
    help="Users: cashiers and managers.", no_args_is_help=True, rich_markup_mode=None
)
tokens = typer.Typer(
    help="Tokens: what a till sends with every request.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@users.command("add")
def add_user(
    context: typer.Context,
    name: Name,
    role: Annotated[
        Literal["cashier", "manager"],
        typer.Option(help="A manager sees and settles everybody's sales."),
    ] = "cashier",
    no_token: Annotated[bool, typer.Option("--no-token", help="Issue no first token.")] = False,
    as_json: AsJson = False,
) -> None:
    """Add a user, with its first token."""
    user, issued = write(
        context, lambda gateway: gateway.add_user(name, role, has_token=not no_token)
    )
    if as_json:
        token = issued.token if issued else None
        print_json({"id": user.id, "username": user.username, "role": user.role, "token": token})
        return
    say(phrase("Added {role} {name}.", role=phrase(user.role), name=user.username))
    if issued:
        _show_once(issued, user.username)


def _show_once(issued: "IssuedToken", username: str) -> None:
    say(phrase("Token: {token}", token=issued.token))
    say(
        phrase(
            "It is shown this once and kept nowhere: put it into the till now. "
            "bulonera-sync token create {name} issues another.",
            name=username,
        )
    )


@users.command("list")
def list_users(context: typer.Context, as_json: AsJson = False) -> None:
    """List the users."""
    accounts = read(context, lambda gateway: gateway.list_accounts())
    rows = [_user_row(account) for account in accounts]
    if as_json:
        print_json(listing(rows))
        return
    zone = settings_of(context).sync.zone
    for row, account in zip(rows, accounts, strict=True):
        row["created_at"] = moment(account.created_at, zone)
    print_table(rows, empty=phrase("No users yet: bulonera-sync user add NAME adds the first."))


def _user_row(account: "Account") -> dict[str, object]:
    return {
        "id": account.id,
        "username": account.username,
        "role": account.role,
        "active": account.is_active,
        "created_at": time_text(account.created_at),
    }


@users.command("disable")
def disable_user(context: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Keep a user out; its tokens stop to count at once."""
    account = write(context, lambda gateway: gateway.set_user_active(name, is_active=False))
    if as_json:
        print_json(_user_row(account))
        return
    text = phrase("Disabled {name}: its tokens are refused from now on.", name=account.username)
    say(text)


@users.command("enable")
def enable_user(context: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Let a disabled user in again, with the tokens it had."""
    account = write(context, lambda gateway: gateway.set_user_active(name, is_active=True))
    if as_json:
        print_json(_user_row(account))
        return
    say(phrase("Enabled {name}: its tokens count again.", name=account.username))


@tokens.command("create")
def create_token(
    context: typer.Context,
    user: Annotated[str, typer.Argument(metavar="USER", help="Whose token it will be.")],
    label: Annotated[str, typer.Option(help="What tells it from others, such as a till.")] = "",
    as_json: AsJson = False,
) -> None:
    """Issue one more token for a user."""
    issued = write(context, lambda gateway: gateway.create_token(user, label))
    if as_json:
        print_json({"id": issued.id, "token": issued.token, "label": issued.label})
        return
    say(phrase("Issued token {id} for {name}.", id=issued.id, name=user))
    _show_once(issued, user)


@tokens.command("list")
def list_tokens(
    context: typer.Context,
    user: Annotated[str | None, typer.Argument(metavar="[USER]", help="Only this user's.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the tokens; none is shown, for only its digest is kept."""

    async def entries(gateway: "Gateway") -> "list[TokenEntry]":
        return await gateway.list_tokens(user)

    found = read(context, entries)
    rows = [_token_row(entry) for entry in found]
    if as_json:
        print_json(listing(rows))
        return
    zone = settings_of(context).sync.zone
    for row, entry in zip(rows, found, strict=True):
        row["created_at"] = moment(entry.created_at, zone)
        row["revoked_at"] = entry.revoked_at and moment(entry.revoked_at, zone)
    print_table(rows, empty=phrase("No tokens yet: bulonera-sync token create USER issues one."))


def _token_row(entry: "TokenEntry") -> dict[str, object]:
    return {
        "id": entry.id,
        "username": entry.username,
        "label": entry.label,
        "created_at": time_text(entry.created_at),
        "revoked_at": time_text(entry.revoked_at),
    }


@tokens.command("revoke")
def revoke_token(
    context: typer.Context,
    token_id: Annotated[
        int, typer.Argument(metavar="ID", min=1, max=MAX_ID, help="As token list shows it.")
    ],
    as_json: AsJson = False,
) -> None:
    """Revoke a token at once and for good."""
    entry = write(context, lambda gateway: gateway.revoke_token(token_id))
    if as_json:
        print_json(_token_row(entry))
        return
    say(phrase("Revoked token {id} of {name}.", id=entry.id, name=entry.username))
