"""`serve --demo`: a shop to try, with its own data, catalogue and users, and an upload to paste."""

import json
import shlex
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from bulonera_sync.cli.output import say
from bulonera_sync.cli.sentences import reason
from bulonera_sync.cli.words import phrase
from bulonera_sync.config import Settings
from bulonera_sync.demo import catalogue
from bulonera_sync.errors import NotFoundError, RefusedError
from bulonera_sync.gateway import Gateway

HOST = "127.0.0.1"
# Not the name that the settings' default has: DIR may hold a real shop's database.
DATABASE = "demo.db"
# Nor config.toml: a shop that has none would find the demo by it.
CONFIG = "demo.toml"
CASHIER = "ana"
MANAGER = "marta"
USERS: Mapping[str, Literal["cashier", "manager"]] = {CASHIER: "cashier", MANAGER: "manager"}
LABEL = "demo"


@contextmanager
def demo_settings(settings: Settings, folder: Path | None) -> Iterator[Settings]:
    """Yield the settings for a demo in this folder, or in one that is removed at the end."""
    if folder is None:
        with TemporaryDirectory(
            prefix="bulonera-sync-demo-", ignore_cleanup_errors=True
        ) as temporary:
            text = phrase(
                "Demo data in {folder}, removed at the end (--data DIR keeps it).",
                folder=temporary,
            )
            say(text)
            yield _settings_in(settings, Path(temporary))
        return
    say(phrase("Demo data in {folder}, kept for the next time.", folder=folder))
    yield _settings_in(settings, _made(folder).absolute())


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        text = phrase("{file} can't be made: {why}", file=folder, why=reason(error))
        raise RefusedError(text) from error
    return folder


def _settings_in(settings: Settings, folder: Path) -> Settings:
    """Return the settings with this machine alone as the audience, and all data in the folder."""
    tls = {"tls_cert": None, "tls_key": None, "tls_folder": folder / "tls"}
    server = settings.server.model_copy(update={"host": HOST, **tls})
    store = settings.store.model_copy(update={"url": f"sqlite:///{folder / DATABASE}"})
    log = settings.log.model_copy(update={"file": folder / "logs" / "sync.log"})
    _keep_settings(folder, server.port)
    return settings.model_copy(update={"server": server, "store": store, "log": log})


def _keep_settings(folder: Path, port: int) -> None:
    """Write what other commands find the demo by, and say which one to try."""
    file = folder / CONFIG
    said = f'[server]\nport = {port}\n\n[store]\nurl = "sqlite:///{DATABASE}"\n'
    try:
        file.write_text(said, "utf-8")
    except OSError as error:
        text = phrase("{file} can't be made: {why}", file=file, why=reason(error))
        raise RefusedError(text) from error
    command = shlex.join(["bulonera-sync", "--config", str(file), "pending"])
    say(phrase("Look at it from another terminal: {command}", command=command))


async def greet_with_demo(gateway: Gateway, address: str) -> None:
    """Fill an empty demo, issue tokens, and print them with an upload to paste."""
    await _bring_catalogue(gateway)
    tokens = {name: await _issue_token(gateway, name) for name in USERS}
    for name, role in USERS.items():
        facts = {"role": phrase(role), "name": name, "token": tokens[name]}
        say(phrase("Token of {role} {name}: {token}", **facts))
    say(phrase("Upload a sale, from another terminal:"))
    say("")
    say(upload_command(address, tokens[CASHIER]))
    say("")
    say(phrase("Ready at {address} (Ctrl-C ends it)", address=address))


async def _bring_catalogue(gateway: Gateway) -> None:
    # Once: a catalogue that was changed to try something stays changed.
    for kind in ("customers", "products"):
        _, total = await gateway.list_catalog(kind, limit=1)
        if total == 0:
            with catalogue(kind) as file:
                await gateway.import_catalog(kind, file)


async def _issue_token(gateway: Gateway, username: str) -> str:
    """Return a new token: those of an earlier start count still, but are known to nobody here."""
    try:
        await gateway.find_account(username)
    except NotFoundError:
        await gateway.add_user(username, USERS[username], has_token=False)
    return (await gateway.create_token(username, LABEL)).token


def upload_command(address: str, token: str) -> str:
    """Return the guide's upload as one line for a shell, under a local_id of its own."""
    words = ["curl", "-X", "POST", f"{address}/api/v1/sales/sync/upload/"]
    words += ["-H", f"Authorization: Token {token}", "-H", "Content-Type: application/json"]
    words += ["-d", json.dumps({"sales": [_guide_sale()]})]
    return shlex.join(words)


def _guide_sale() -> Mapping[str, object]:
    return {
        "local_id": str(uuid.uuid4()),
        "customer_id": 5,
        "status": "draft",
        "items": [
            {
                "product_id": 10,
                "quantity": "5.000",
                "unit_price": "25.50",
                "discount_type": "none",
                "discount_value": "0",
                "tax_percentage": "21",
            },
            {
                "product_id": 12,
                "quantity": "3",
                "unit_price": "100.00",
                "discount_type": "percentage",
                "discount_value": "10",
                "tax_percentage": "21",
            },
        ],
        "notes": "Cliente VIP - pedido urgente",
        "version": 1,
    }
