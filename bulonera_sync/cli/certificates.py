"""`tls`: HTTPS for the tablets, with an authority of the gateway's own."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from bulonera_sync.cli.invocations import settings_of
from bulonera_sync.cli.output import AsJson, print_json, say
from bulonera_sync.cli.words import moment, phrase
from bulonera_sync.errors import RefusedError
from bulonera_sync.times import time_text

if TYPE_CHECKING:
    from bulonera_sync.config import Settings
    from bulonera_sync.tls.files import Folder
    from bulonera_sync.tls.names import Names

app = typer.Typer(
    help="HTTPS for the tablets, with the gateway's own authority.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
IPV4 = 4


@app.command()
def init(
    context: typer.Context,
    force: Annotated[
        bool,
        typer.Option("--force", help="Make a new authority; every tablet has to install it anew."),
    ] = False,
) -> None:
    """Make the authority and the gateway's certificate."""
    from bulonera_sync.tls.files import machine_names

    settings = settings_of(context)
    folder = _folder(settings)
    folder.make(machine_names(), datetime.now(UTC), over=force)
    file = folder.authority_file
    say(phrase("Made the authority {file} and the gateway's certificate.", file=file))
    _describe(settings, folder)
    say("")
    say(phrase("What comes next:"))
    say(phrase("  Start the daemon again (bulonera-sync serve): it answers over HTTPS."))
    _say_where_tablets_go(settings, folder)


@app.command()
def show(context: typer.Context, as_json: AsJson = False) -> None:
    """Show what the gateway's certificate is for, when it ends, and the authority's fingerprint."""
    settings = settings_of(context)
    folder = _folder(settings)
    if as_json:
        print_json(_document(settings, folder))
    else:
        _describe(settings, folder)
        say("")
        _say_where_tablets_go(settings, folder)


@app.command()
def renew(context: typer.Context) -> None:
    """Make a new certificate under the same authority; a running daemon takes it up."""
    from bulonera_sync.tls.files import machine_names

    settings = settings_of(context)
    folder = _folder(settings)
    folder.renew(machine_names(), datetime.now(UTC))
    say(phrase("Renewed; a running daemon takes it up within seconds."))
    _describe(settings, folder)


def _folder(settings: "Settings") -> "Folder":
    from bulonera_sync.tls.files import Folder

    if settings.server.tls_cert is not None:
        text = phrase(
            "[server] tls_cert names a certificate of your own; remove tls_cert and tls_key for "
            "the gateway's"
        )
        raise RefusedError(text)
    return Folder(settings.server.tls_folder)


def _document(settings: "Settings", folder: "Folder") -> dict[str, object]:
    from bulonera_sync.tls.authority import fingerprint, names_in

    authority, leaf = folder.authority(), folder.leaf()
    names = names_in(leaf)
    return {
        "names": sorted(names.domains),
        "addresses": sorted(map(str, names.addresses)),
        "ends_at": time_text(leaf.not_valid_after_utc),
        "pages": pages_of(settings, names),
        "authority": {
            "file": str(folder.authority_file),
            "ends_at": time_text(authority.not_valid_after_utc),
            "fingerprint": fingerprint(authority),
        },
    }


def pages_of(settings: "Settings", names: "Names") -> list[str]:
    """Return where tablets get the authority while the daemon runs, the likeliest first."""
    from bulonera_sync.tls.files import outward_address
    from bulonera_sync.tls.names import is_loopback, reached_at

    # What listens on this machine alone is told to listen to all.
    host = "" if is_loopback(settings.server.host) else settings.server.host
    reached, port = reached_at(names, host, outward_address()), settings.server.tls_page_port
    return [f"http://{f'[{each}]' if each.version > IPV4 else each}:{port}/" for each in reached]


def _say_where_tablets_go(settings: "Settings", folder: "Folder") -> None:
    from bulonera_sync.cli.qrcodes import show as show_code
    from bulonera_sync.tls.authority import names_in
    from bulonera_sync.tls.names import is_loopback

    if is_loopback(settings.server.host):
        text = phrase(
            "  The gateway listens on this machine alone: set [server] host = {host} for tablets.",
            host='"0.0.0.0"',
        )
        say(text)
    pages = pages_of(settings, names_in(folder.leaf()))
    if not pages:
        say(phrase("  This machine has no address that a tablet could reach: is its cable in?"))
        return
    say(
        phrase(
            "  On each tablet, open {page} (while the daemon runs), install the certificate and "
            "compare the fingerprint.",
            page=pages[0],
        )
    )
    show_code(pages[0])
    if len(pages) > 1:
        say(phrase("  Or, by its other addresses: {pages}", pages=" ".join(pages[1:])))


def _describe(settings: "Settings", folder: "Folder") -> None:
    from bulonera_sync.cli.pages import Page
    from bulonera_sync.tls.authority import fingerprint, names_in

    authority, leaf = folder.authority(), folder.leaf()
    names, zone = names_in(leaf), settings.sync.zone
    page = Page()
    page.facts(
        [
            (phrase("names"), ", ".join(sorted(names.domains))),
            (phrase("addresses"), ", ".join(sorted(map(str, names.addresses)))),
            (phrase("ends"), moment(leaf.not_valid_after_utc, zone)),
            (phrase("authority ends"), moment(authority.not_valid_after_utc, zone)),
            (phrase("fingerprint"), fingerprint(authority)),
        ]
    )
    page.show()
