"""The commands as a document: `python -m bulonera_sync.cli.reference` prints docs/cli.md.

In English whatever the locale: it is for the repository, and a test compares it.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from bulonera_sync.cli.languages import choose_language

Command = TyperCommand | TyperGroup

NAME = "bulonera-sync"
HEAD = """\
# bulonera-sync

Generated from the commands by `make reference`; not to be edited.

    bulonera-sync [--config FILE] COMMAND

Commands work on the configured database, with the daemon running or not. One that writes prepares
an empty database first; one that reads does not. A SALE is an id, a number (`VTA-2026-00042`) or a
local_id.

With `--json` stdout is one JSON document and nothing else, the same in every language; without, it
is for people and may change. Errors are one line on stderr. Texts from sales are shown with
whatever a terminal could obey as its code (`\\x1b`); JSON gives them back exactly.

| exit code | what happened |
|---|---|
| 0 | it is done |
| 1 | the operation failed or was refused; `stats --exit-code`: something needs a person |
| 2 | wrong usage |
| 3 | a setting is wrong or its file missing |
| 4 | the database can't be reached, or has not this program's schema |
| 130 | ended by Ctrl-C |

| variable | what it does |
|---|---|
| `BULONERA_CONFIG` | the settings' file, where `--config` names none |
| `BULONERA_SECTION__KEY` | one setting, before what the file says: `BULONERA_SERVER__PORT=9000` |
| `BULONERA_LANG` | the language, `en` or `es`, before the system's `LC_ALL` and `LANG` |
| `NO_COLOR` | no colour, whatever the terminal |
| `COLUMNS` | how wide a page is, where there is no terminal to ask |

Tab completes commands, options, sales, users and statuses after `bulonera-sync
--install-completion`, which adds to the shell's own start-up file; `--show-completion` prints the
script instead.
"""

LOCAL_ID = "550e8400-e29b-41d4-a716-446655440000"
AT = "2026-02-16T12:00:00Z"
ROW: Mapping[str, object] = {
    "id": 42,
    "number": "VTA-2026-00042",
    "status": "draft",
    "payment_status": "unpaid",
    "fiscal_status": "pending",
    "customer": 999,
    "total": "154.28",
    "created_at": AT,
    "sync_status": "error",
    "local_id": LOCAL_ID,
    "version": 1,
    "error": "Customer con id=999 no existe",
    "sync_attempt_count": 1,
    "next_attempt_at": "2026-02-16T12:00:30Z",
    "dead": False,
    "created_by": "ana",
}
TOKEN = "0123456789abcdef0123456789abcdef01234567"  # noqa: S105 (nobody's)
USER = {"id": 1, "username": "ana", "role": "cashier", "active": True, "created_at": AT}
ISSUED = {"id": 3, "username": "ana", "label": "till 1", "created_at": AT, "revoked_at": None}
QUARANTINED: Mapping[str, object] = {
    "id": 7,
    "created_by": "ana",
    "error": "local_id requerido",
    "errors": [{"field": "local_id", "code": "local_id_required", "message": "local_id requerido"}],
    "received_at": AT,
    "last_received_at": AT,
    "times": 1,
}


def _listing(row: Mapping[str, object], **more: object) -> Mapping[str, object]:
    return {"count": 1, **more, "results": [row]}


# What --json prints, one row of each listing; tests hold the keys equal to what is printed.
EXAMPLES: Mapping[str, Mapping[str, object]] = {
    "pending": _listing(ROW, total=1),
    "history": _listing(
        {
            "at": AT,
            "kind": "created",
            "actor": "user",
            "user": "ana",
            "from_version": None,
            "to_version": 1,
            "detail": {"result": "synced"},
        },
        sale_id=42,
        sale_number="VTA-2026-00042",
    ),
    "retry": {
        "message": "Retry queued successfully",
        "processed": 1,
        "results": [
            {
                "sale_id": 42,
                "sale_number": "VTA-2026-00042",
                "local_id": LOCAL_ID,
                "status": "queued",
                "attempt": 2,
            }
        ],
    },
    "log": _listing(
        {
            "time": AT,
            "level": "INFO",
            "message": "Sale synced successfully",
            "context": {"sale_id": "42"},
            "traceback": None,
        }
    ),
    "user add": {"id": 1, "username": "ana", "role": "cashier", "token": TOKEN},
    "user list": _listing(USER),
    "user disable": {**USER, "active": False},
    "user enable": USER,
    "token create": {"id": 3, "token": TOKEN, "label": "till 1"},
    "token list": _listing(ISSUED),
    "token revoke": {**ISSUED, "revoked_at": AT},
    "catalog import": {"imported": 120, "deactivated": 0},
    "catalog list": _listing({"id": 5, "name": "Taller", "tax_id": "", "active": True}, total=1),
    "throttle show": _listing(
        {
            "username": "ana",
            "limit": 50,
            "remaining": 49,
            "reset_seconds": 72,
            "wait_seconds": 0,
        },
        throttle="50/hour",
    ),
    "quarantine list": _listing(QUARANTINED, total=1),
    "quarantine show": {**QUARANTINED, "payload": '{"customer_id": 5, "items": []}'},
    "db check": {
        "status": "ok",
        "url": "sqlite:////srv/shop/bulonera-sync.db",
        "counts": {"users": 1, "customers": 9, "products": 99, "sales": 42, "quarantine": 0},
        "damage": [],
    },
    "config show": _listing(
        {"section": "server", "key": "port", "value": 8000, "origin": "default"}, file=None
    ),
}

# Where --json prints too much for an example.
DOCUMENTS: Mapping[str, str] = {
    "show": "the API's document of the sale",
    "edit": "the API's document of the sale",
    "resolve": "the API's answer to a resolve: `message` and `sale`",
    "conflicts": "`pending`'s rows, with `conflict_at`, `code`, `message` and `conflict_data`",
    "stats": "the page's facts as an object",
}


def reference(app: typer.Typer) -> str:
    """Return the document, in Markdown."""
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    blocks = [HEAD, *_section(root, NAME, "Options of bulonera-sync itself")]
    for names, command in _commands(root, ()):
        blocks += _section(command, " ".join((NAME, *names)), " ".join(names))
        blocks += _json(" ".join(names))
    return "\n\n".join(block.strip("\n") for block in blocks) + "\n"


def _commands(
    group: TyperGroup, before: Sequence[str]
) -> Iterator[tuple[Sequence[str], TyperCommand]]:
    for name, command in group.commands.items():
        names = (*before, name)
        if isinstance(command, TyperGroup):
            yield from _commands(command, names)
        elif isinstance(command, TyperCommand):
            yield names, command


def _section(command: Command, said: str, title: str) -> Iterator[str]:
    yield f"## {title}"
    context = typer.Context(command, info_name=said)
    arguments = [each for each in command.params if isinstance(each, TyperArgument)]
    if isinstance(command, TyperCommand):
        yield f"    {' '.join([said, '[OPTIONS]', *map(_place, arguments)])}"
        yield command.help or ""
    options = [each for each in command.get_params(context) if isinstance(each, TyperOption)]
    said_of = {_place(each): _text(each, context) for each in arguments}
    said_of |= {_name(each, context): _text(each, context) for each in options}
    yield "\n".join(f"- `{name}`: {text}" for name, text in said_of.items() if name != "--help")


def _place(argument: TyperArgument) -> str:
    word = (argument.metavar or "").strip("[]")
    return word if argument.required else f"[{word}]"


def _name(option: TyperOption, context: typer.Context) -> str:
    name, _ = option.get_help_record(context) or ("", "")
    # Typer's own word for a text without a name.
    return name.replace("<str>", "TEXT").replace("<", "").replace(">", "")


def _text(parameter: TyperArgument | TyperOption, context: typer.Context) -> str:
    _, text = parameter.get_help_record(context) or ("", "")
    return text.replace("  [required]", "").replace("  [", " [")


def _json(command: str) -> Iterator[str]:
    if command in DOCUMENTS:
        yield f"`--json`: {DOCUMENTS[command]}."
    if command in EXAMPLES:
        text = json.dumps(EXAMPLES[command], ensure_ascii=False, indent=2)
        yield f"```json\n{text}\n```"


def main() -> None:
    choose_language({})
    from bulonera_sync.cli.main import app

    sys.stdout.write(reference(app))


if __name__ == "__main__":
    main()
