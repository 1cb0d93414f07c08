"""What others say in English (the rules, the gateway, Typer), said again in another language.

They know no catalogue: a sentence of theirs is recognised by its template, and its facts put into
the translation. One that no template knows stays as it is.
"""

import re
from collections.abc import Mapping
from string import Formatter

from bulonera_sync.cli.languages import is_source
from bulonera_sync.cli.words import phrase

# The first that fits counts, so that the closer ones stand first.
PHRASES = (
    # Typer
    "Invalid value for {hint}: {why}",
    "Invalid value: {why}",
    "Missing argument {hint}. {why}",
    "Missing argument {hint}",
    "Missing option {hint}. {why}",
    "Missing option {hint}",
    "Choose from: {words}",
    "No such option: {option} (Possible options: {options})",
    "No such option: {option}",
    "{said}. Did you mean {words}?",
    "Option {option} does not take a value",
    "Option {option} requires an argument",
    "Got unexpected extra argument(s) ({words})",
    "Value error, {why}",
    "{value} is not one of {words}",
    "Input should be greater than or equal to {least}",
    "Input should be less than or equal to {most}",
    "Input should be a valid integer, unable to parse string as an integer",
    # Users and tokens
    "user {name} exists already",
    "no user {name}; bulonera-sync user list shows them",
    "no token {id}; bulonera-sync token list shows them",
    "a username has 1 to 64 letters, digits or . _ @ + - and starts with a letter or digit",
    "a label has up to {count} printable characters",
    # Sales
    "Sale {sale} not found or permission denied",
    "nothing in quarantine under {id}; bulonera-sync quarantine list shows what there is",
    "invalid UTF-8 at byte {count}",
    # The catalogue's files
    "{file}: line {count}: not CSV: {reason}",
    "{file}: line 1: no column {name}; the header is {words}",
    "{file}: line 1: unknown column {name}; the header is {words}",
    "{file}: line 1: column {name} stands twice",
    "{file}: line {count}: {why}",
    "{found} columns where the header has {count}; a separator inside a text or number needs "
    "quotes around it",
    "{name} {value} has a point and others a comma; write {words}",
    "id {id} stands in line {count} already",
    "id must be a whole number from 1, found {value}",
    "{name} is empty",
    "{name} has {count} characters, {most} at most",
    "{name} must be a number up to {most} with at most {places} decimals, found {value}",
    "{name} must be a number with at most {places} decimals, found {value}",
    "active must be 1/0, true/false or sí/no, found {value}",
    "{file}: has NUL characters; save it as CSV in UTF-8",
    # The settings
    "{file}: no such file; correct {name}, or make the file with bulonera-sync init",
    "{file}: can't be read: {why}",
    "{file}: not UTF-8 at byte {count}; save it so",
    '{file}: not valid TOML: {reason}; a text needs quotes: host = "127.0.0.1"',
    "{file}: {name} stands outside its section; put it under [{section}]",
    "{file}: no such section: [{name}]; {why}",
    "{file}: {name} is a section; write [{section}] and its keys below",
    "{file}: no such setting: [{section}] {name}; {why}",
    "{name}: no such setting; {why}",
    "did you mean {name}?",
    "there are {words}",
    "settings are BULONERA_SECTION__KEY",
    "{file}: [{section}] {name} must be {right}, not {value}",
    "{file}: [{section}] {name} must be {right}",
    "{file}: [server] tls_cert and tls_key go together: set both or neither",
    "{file}: [retry] first_delay must not be above max_delay",
    "a whole number of bytes from {least} to {most}",
    "a whole number from {least} to {most}",
    "true or false",
    "a number of seconds above 0, 31 days at most",
    'a percentage from 0 to 10000, or "off"',
    "the path of a file",
    "the path of a PEM file",
    "an address or a host name, nothing else",
    'a list of exact origins such as "https://caja.example:8443", without a path, * or null',
    "sqlite:///FILE (sqlite:////FOLDER/FILE when absolute) or "
    "postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
    '"off" or N/second, N/minute, N/hour, N/day such as "50/hour"',
    "1 to 10 of the characters A-Z and 0-9",
    'a time zone such as "America/Argentina/Buenos_Aires"',
    "DEBUG, INFO, WARNING, ERROR or CRITICAL",
    '"text" or "json"',
    "[store] url names a Postgres, and its driver is not installed: pip install "
    "'bulonera-sync[postgres]'",
    # The database
    "the database can't be reached: {reason}",
    "the database can't be used now: {reason}",
    "the database did not confirm a write: {reason}",
    "the database is not prepared yet; bulonera-sync db upgrade does it",
    "{file} does not exist yet; bulonera-sync db upgrade makes it",
    "the database's schema is {found} and this program needs {needed}; bulonera-sync db upgrade "
    "brings it up to date",
    "the database's schema is {found}, newer than this program's {needed}; install the newer "
    "bulonera-sync",
    # Backups
    "there is no folder {file}; make or mount it first",
    "{file} is the database itself; name another file",
    "{file} is the database itself; name a backup",
    "{file} is there and is no backup; name another file",
    "{file} is no backup of {kind}",
    "{file} holds no database of bulonera-sync",
    "{file} has schema {found}, newer than this program's {needed}; install the newer "
    "bulonera-sync",
    "{file} is damaged: {reason}",
    "a daemon, or another command, has {count} connections to the database; stop it first",
    "{name} is not on PATH; install Postgres' client programs of the server's version or newer "
    "(on Debian and Ubuntu: apt install postgresql-client)",
    # The server
    "can't listen on {address}: {reason}; stop what uses it, or choose another [server] host or "
    "port (serve --port N)",
    # Certificates
    "{file} is there already, and tablets may trust it; tls renew makes a new certificate under "
    "it, --force a new authority that every tablet has to install anew",
    "the authority has ended; tls init --force makes a new one",
    "there is no {file}; bulonera-sync tls init makes it",
    "{file} can't be written: {why}",
    "{file} can't be used: {reason}",
    # The system's own
    "Address already in use",
    "Connection refused",
    "File exists",
    "Is a directory",
    "No such file or directory",
    "Not a directory",
    "Permission denied",
    "Read-only file system",
    "timed out",
)
# What a till is told and fits no terminal, whose operator may see every sale.
NO_SALE = "Sale {sale} not found or permission denied"
# These facts are sentences themselves.
TOLD = frozenset({"why", "right", "reason"})


def retold(text: str) -> str:
    """Return the text in the chosen language, where a template knows it."""
    line = " ".join(text.split())
    for template in [NO_SALE] if is_source() else PHRASES:
        found = _pattern(template).fullmatch(line)
        if found:
            facts = {
                name: retold(fact) if name in TOLD else fact
                for name, fact in found.groupdict().items()
            }
            return _said(template, facts)
    return text


def _said(template: str, facts: Mapping[str, str]) -> str:
    if template == NO_SALE:
        return phrase(
            "there is no sale {sale}; bulonera-sync pending shows what is not in", **facts
        )
    return phrase(template, **facts)


def reason(error: OSError) -> str:
    """Return why the system refused, in the chosen language."""
    return retold(error.strerror or str(error))


def _pattern(template: str) -> re.Pattern[str]:
    parts = [(re.escape(fixed), name) for fixed, name, *_ in Formatter().parse(template)]
    pattern = "".join(fixed + (f"(?P<{name}>.+?)" if name else "") for fixed, name in parts)
    return re.compile(rf"{pattern}\.?")
