"""The unit that systemd runs the daemon by: from settings to its text, and back to folders."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulonera_sync.config import Settings

UNIT = "bulonera-sync.service"
USER = "bulonera-sync"
TEMPLATE = Path(__file__).with_name(UNIT)

# What ProtectHome hides.
HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
# Below it a port is the system's, and wants a capability.
FIRST_FREE_PORT = 1024

_WRITABLE = re.compile(r'^ReadWritePaths=-?"((?:[^"\\]|\\.)*)"$', re.MULTILINE)
_ESCAPED = re.compile(r"\\(.)|%%")


@dataclass(frozen=True, slots=True)
class Stored:
    """The files that the daemon writes, and its certificates' folder, which may come later."""

    database: Path | None
    log: Path
    tls: Path

    @property
    def folders(self) -> Sequence[Path]:
        """Those that have to be there, none within another."""
        wanted = [self.log.parent, *([self.database.parent] if self.database else [])]
        return list(_outermost(wanted))


def stored_by(settings: "Settings") -> Stored:
    """Return what a daemon with these settings writes."""
    path = settings.store.sqlite_path
    return Stored(
        path.resolve() if path else None,
        settings.log.file.resolve(),
        settings.server.tls_folder.resolve(),
    )


def unit_text(settings: "Settings", config: Path, program: Sequence[Path | str]) -> str:
    """Return the unit that runs `program` on this configuration file, both absolute."""
    stored = stored_by(settings)
    words = [*program, "--config", config, "serve"]
    needs_home = any(_is_at_home(path) for path in _paths(stored, config, words))
    server = settings.server
    has_low_port = any(0 < port < FIRST_FREE_PORT for port in (server.port, server.tls_page_port))
    return Template(TEMPLATE.read_text("utf-8")).substitute(
        program=" ".join(quoted(word).replace("$", "$$") for word in words),
        user=USER,
        writable="\n".join(_writable(stored)),
        home="read-only" if needs_home else "yes",
        capabilities="CAP_NET_BIND_SERVICE" if has_low_port else "",
        # In a namespace of its own no capability reaches the machine's ports.
        private_users="no" if has_low_port else "yes",
    )


def folders_of(unit: str) -> Sequence[Path]:
    """Return the folders that a unit's daemon writes in."""
    return [Path(_ESCAPED.sub(_unescaped, found)) for found in _WRITABLE.findall(unit)]


def quoted(word: Path | str) -> str:
    """Return a word as one in a unit, with nothing in it that systemd would expand."""
    text = str(word).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text.replace("%", "%%")}"'


def _unescaped(found: re.Match[str]) -> str:
    return found[1] or "%"


def _writable(stored: Stored) -> Iterator[str]:
    for folder in stored.folders:
        yield f"ReadWritePaths={quoted(folder)}"
    if not any(stored.tls.is_relative_to(folder) for folder in stored.folders):
        # "-": it need not be there yet.
        yield f"ReadWritePaths=-{quoted(stored.tls)}"


def _outermost(folders: Iterable[Path]) -> Iterator[Path]:
    each = dict.fromkeys(folders)
    for folder in each:
        if not any(folder != other and folder.is_relative_to(other) for other in each):
            yield folder


def _paths(stored: Stored, config: Path, words: Sequence[Path | str]) -> Iterator[Path]:
    yield from (*stored.folders, stored.tls, config)
    yield from (word for word in words if isinstance(word, Path))


def _is_at_home(path: Path) -> bool:
    # By its links too: a venv's Python is one, to wherever that was installed.
    return any(each.is_relative_to(home) for each in (path, path.resolve()) for home in HOMES)
