"""The certificate that the daemon serves with, kept as new as its files."""

import asyncio
import logging
import ssl
from datetime import UTC, datetime
from pathlib import Path

from bulonera_sync.config import ServerSettings
from bulonera_sync.errors import BuloneraError, RefusedError
from bulonera_sync.tls.names import leaf_in

logger = logging.getLogger("bulonera_sync")

# What tells a file's content from its former one.
Stamp = tuple[int, int, int]


class ServedCertificate:
    """One TLS context for the daemon's whole life: connections that are open keep what they have.

    `own` is the folder of the gateway's own certificates, or None for a person's files.
    """

    def __init__(self, certificate: Path, key: Path, *, own: Path | None = None) -> None:
        self._files = certificate, key
        self.own = own
        self._stamps = self._look()
        self.context = _context()
        _load(self.context, self._files)

    async def follow(self) -> None:
        """Renew the gateway's own leaf when it is due; take up files that changed."""
        if await asyncio.to_thread(self._prepare):
            # On the loop, where connections begin: one begun half-way would have a certificate
            # without its key, and be reset.
            _load(self.context, self._files)
            logger.info("Certificate taken up", extra={"file": str(self._files[0])})

    def _prepare(self) -> bool:
        """Renew what is due; say whether the files changed to something that can be used."""
        if self.own is not None:
            _renew(self.own)
        stamps = self._look()
        if stamps == self._stamps:
            return False
        # Noted before it is tried: what can't be used is told once, not every turn.
        self._stamps = stamps
        try:
            _load(_context(), self._files)
        except RefusedError as error:
            logger.error("Certificate not taken up", extra={"error": str(error)})
            return False
        return True

    def _look(self) -> tuple[Stamp | None, ...]:
        return tuple(map(_stamp, self._files))


def certificate_for(settings: ServerSettings) -> ServedCertificate | None:
    """Return what to serve with: a person's certificate, else the gateway's own, else None.

    Raises `RefusedError` for one that can't be used.
    """
    if settings.tls_cert is not None and settings.tls_key is not None:
        return ServedCertificate(settings.tls_cert, settings.tls_key)
    leaf = leaf_in(settings.tls_folder)
    if not leaf.exists():
        return None
    _renew(settings.tls_folder)
    return ServedCertificate(leaf, leaf, own=settings.tls_folder)


def _renew(folder: Path) -> None:
    """Renew the leaf when it is due; a failure is logged, the old one may serve for days."""
    from bulonera_sync.tls.files import Folder, machine_names  # noqa: PLC0415 - slow, seldom used

    try:
        if Folder(folder).renew_if_due(machine_names(), datetime.now(UTC)):
            logger.info("Certificate renewed", extra={"folder": str(folder)})
    except BuloneraError as error:
        logger.error("Certificate not renewed", extra={"error": str(error)})


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _load(context: ssl.SSLContext, files: tuple[Path, Path]) -> None:
    try:
        context.load_cert_chain(*files)
    except OSError as error:
        raise RefusedError(f"[server] {files[0]} and {files[1]} can't be used: {error}") from error


def _stamp(file: Path) -> Stamp | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
