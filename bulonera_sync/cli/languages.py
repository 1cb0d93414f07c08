"""Which language a person reads: chosen by the environment, its texts in a packaged catalogue.

The catalogue is read when the first text is wanted in another language than the source's.
"""

import gettext
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

SOURCE = "en"
LANGUAGES = (SOURCE, "es")
# The first of them that says anything decides; our own before the system's.
VARIABLES = ("BULONERA_LANG", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")

DOMAIN = "bulonera-sync"
FOLDER = Path(__file__).parents[1] / "locale"

_language = ContextVar("language", default=SOURCE)


def language_of(environ: Mapping[str, str]) -> str:
    """Return the language that the variables ask for, the source's for one we have not."""
    said = next(filter(None, map(environ.get, VARIABLES)), SOURCE)
    # Of "es_AR.UTF-8" the language; LANGUAGE may list several, the one liked best first.
    wanted = (re.split(r"[_.@-]", word)[0].lower() for word in said.split(":"))
    return next((each for each in wanted if each in LANGUAGES), SOURCE)


def choose_language(environ: Mapping[str, str]) -> None:
    """Speak the language that the variables ask for from here on, Typer's own words included."""
    language = language_of(environ)
    _language.set(language)
    if language == SOURCE:
        gettext.textdomain("messages")
        return
    # Typer asks the standard library, which reads the process's variables at every word.
    gettext.bindtextdomain(DOMAIN, str(FOLDER))
    gettext.textdomain(DOMAIN)
    os.environ["LANGUAGE"] = language


def is_source() -> bool:
    """Whether texts stay as they stand in the source."""
    return _language.get() == SOURCE


@contextmanager
def source_words() -> Iterator[None]:
    """Keep texts as they stand in the source while the block runs: for a program to read."""
    token = _language.set(SOURCE)
    try:
        yield
    finally:
        _language.reset(token)


def translated(text: str) -> str:
    """Return the text in the chosen language; as it is where the catalogue hasn't got it."""
    # The empty text is the catalogue's own head.
    return _catalogue(_language.get()).gettext(text) if text else text


def translated_plural(one: str, many: str, count: int) -> str:
    """Return the form for this count in the chosen language."""
    return _catalogue(_language.get()).ngettext(one, many, count)


@cache
def _catalogue(language: str) -> gettext.NullTranslations:
    if language == SOURCE:
        return gettext.NullTranslations()
    return gettext.translation(DOMAIN, FOLDER, [language], fallback=True)
