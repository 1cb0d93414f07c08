"""The help in another language than the source's: each command's, and what Typer puts around it."""

import typer
from typer._click.formatting import HelpFormatter
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from bulonera_sync.cli.languages import translated
from bulonera_sync.cli.words import phrase

# Typer has them translated by gettext, but for the last ones.
PHRASES = (
    "Arguments",
    "Options",
    "Commands",
    "default: {default}",
    "required",
    "(dynamic)",
    "Missing command.",
    "No such command {name!r}.",
    "Show this message and exit.",
    "Install completion for the current shell.",
    "Show completion for the current shell, to copy it or customize the installation.",
)


class Formatter(HelpFormatter):
    """Writes what Typer has in English alone."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args, prefix or phrase("Usage: "))


class Context(typer.Context):
    formatter_class = Formatter


def translate_help(command: object) -> None:
    """Put a command's help into the chosen language, and that of all below it."""
    if not isinstance(command, TyperCommand | TyperGroup):
        return
    command.context_class = Context
    command.help = translated(command.help or "")
    command.options_metavar = phrase("[OPTIONS]")
    # Made here rather than when it is wanted, which is too late.
    with Context(command) as context:
        parameters = command.get_params(context)
    for each in parameters:
        if isinstance(each, TyperArgument | TyperOption):
            each.help = translated(each.help or "")
    if isinstance(command, TyperGroup):
        command.subcommand_metavar = phrase("COMMAND [ARGS]...")
        for below in command.commands.values():
            translate_help(below)
