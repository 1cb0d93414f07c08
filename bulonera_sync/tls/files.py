"""Where the authority and the leaf are kept, and what this machine is called."""

import os
import secrets
import socket
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509

from bulonera_sync.errors import NotFoundError, RefusedError
from bulonera_sync.tls.authority import (
    Pair,
    fingerprint,
    make_authority,
    make_leaf,
    names_in,
    read_pair,
)
from bulonera_sync.tls.names import (
    Address,
    Names,
    is_due,
    leaf_in,
    names_of,
    read_ipv4,
    read_ipv6,
)

PRIVATE, PUBLIC = 0o600, 0o644


def machine_names() -> Names:
    """Return this machine's names and addresses as they are now."""
    addresses = read_ipv4(_proc("fib_trie")) | read_ipv6(_proc("if_inet6"))
    return names_of(socket.gethostname(), addresses)


def outward_address() -> Address | None:
    """Return the address that this machine speaks to others from, None where it has no way out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            # Sends nothing: the kernel only chooses the way. An address of documentation.
            asking.connect(("192.0.2.1", 9))
            return ip_address(asking.getsockname()[0])
        except OSError:
            return None


def _proc(name: str) -> str:
    try:
        return Path("/proc/net", name).read_text("ascii")
    except FileNotFoundError:
        # A machine without IPv6 has no such file.
        return ""


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder of the gateway's own certificates."""

    path: Path

    @property
    def authority_file(self) -> Path:
        """The authority's certificate, which tablets install."""
        return self.path / "ca.crt"

    @property
    def key_file(self) -> Path:
        return self.path / "ca.key"

    @property
    def leaf_file(self) -> Path:
        return leaf_in(self.path)

    def make(self, names: Names, now: datetime, *, over: bool = False) -> None:
        """Make an authority and its first leaf.

        Raises `RefusedError` when one is there and `over` is false: every tablet trusts it.
        """
        if self.authority_file.exists() and not over:
            raise RefusedError(
                f"{self.authority_file} is there already, and tablets may trust it; "
                "tls renew makes a new certificate under it, --force a new authority that every "
                "tablet has to install anew"
            )
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            authority = make_authority(socket.gethostname(), now)
            _write(self.key_file, authority.key_pem, PRIVATE)
            _write(self.authority_file, authority.certificate_pem, PUBLIC)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self.renew(names, now)

    def renew(self, names: Names, now: datetime) -> None:
        """Put a new leaf in place of the old one, at once for whoever opens the file."""
        authority = self._authority()
        if authority.certificate.not_valid_after_utc <= now:
            raise RefusedError("the authority has ended; tls init --force makes a new one")
        leaf = make_leaf(authority, names, now)
        text = leaf.key_pem + leaf.certificate_pem + authority.certificate_pem
        try:
            _write(self.leaf_file, text, PRIVATE)
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def renew_if_due(self, names: Names, now: datetime) -> bool:
        """Renew the leaf when it is due; say whether it was."""
        leaf = self.leaf()
        if not is_due(leaf.not_valid_after_utc, names_in(leaf), names, now):
            return False
        self.renew(names, now)
        return True

    def authority(self) -> x509.Certificate:
        """Return the authority's certificate."""
        return _certificate(self.authority_file)

    def offered(self) -> tuple[bytes, str]:
        """Return the authority's file as tablets get it, and that one's fingerprint."""
        content = _read(self.authority_file)
        return content, fingerprint(_parsed(content, self.authority_file))

    def leaf(self) -> x509.Certificate:
        """Return the leaf's certificate."""
        return _certificate(self.leaf_file)

    def _authority(self) -> Pair:
        try:
            return read_pair(_read(self.authority_file), _read(self.key_file))
        except ValueError as error:
            raise RefusedError(f"{self.key_file} can't be used: {error}") from error


def _certificate(file: Path) -> x509.Certificate:
    return _parsed(_read(file), file)


def _parsed(content: bytes, file: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(content)
    except ValueError as error:
        raise RefusedError(f"{file} can't be used: {error}") from error


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no {file}; bulonera-sync tls init makes it") from error
    except OSError as error:
        raise RefusedError(f"{file} can't be read: {error.strerror}") from error


def _unwritable(path: Path, error: OSError) -> RefusedError:
    return RefusedError(f"{path} can't be written: {error.strerror}")


def _write(file: Path, content: bytes, mode: int) -> None:
    """Write a file whole or not at all; nobody else may read a private one at any moment."""
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        draft.replace(file)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
