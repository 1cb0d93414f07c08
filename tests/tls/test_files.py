"""The authority and its leaf as two other programs judge them."""

import stat
import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from bulonera_sync.errors import NotFoundError, RefusedError
from bulonera_sync.tls.authority import make_leaf, names_in, read_pair
from bulonera_sync.tls.files import Folder, machine_names
from bulonera_sync.tls.names import LEAF_LIFE, Names, names_of
from tests.needs import need_program

HERE = names_of("caja", [ip_address("192.168.0.20")])
BANK = Names(frozenset({"www.bank.example"}), frozenset())
PUBLIC = Names(frozenset(), frozenset({ip_address("8.8.8.8")}))


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def folder(tmp_path: Path, now: datetime) -> Folder:
    made = Folder(tmp_path / "tls")
    made.make(HERE, now)
    return made


def leaf_for(folder: Folder, names: Names, now: datetime) -> x509.Certificate:
    """A leaf as a thief of the authority's key would sign it."""
    stolen = read_pair(folder.authority_file.read_bytes(), folder.key_file.read_bytes())
    return make_leaf(stolen, names, now).certificate


def verify(folder: Folder, leaf: x509.Certificate, name: str) -> None:
    subject = x509.DNSName(name) if name[-1].isalpha() else x509.IPAddress(ip_address(name))
    builder = PolicyBuilder().store(Store([folder.authority()]))
    builder.build_server_verifier(subject).verify(leaf, [])


def openssl(folder: Folder, leaf: x509.Certificate, name: str) -> str:
    need_program("openssl", package="openssl")
    file = folder.path / "judged.crt"
    file.write_bytes(leaf.public_bytes(Encoding.PEM))
    check = "-verify_hostname" if name[-1].isalpha() else "-verify_ip"
    trusted = ["-x509_strict", "-CAfile", str(folder.authority_file), "-purpose", "sslserver"]
    judged = subprocess.run(
        ["openssl", "verify", *trusted, check, name, str(file)],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    return "ok" if judged.returncode == 0 else judged.stderr


@pytest.mark.parametrize("name", ["bulonera.local", "caja.lan", "localhost", "192.168.0.20"])
def test_the_leaf_is_good_for_the_machines_names(folder: Folder, name: str) -> None:
    verify(folder, folder.leaf(), name)

    assert openssl(folder, folder.leaf(), name) == "ok"


@pytest.mark.parametrize(("names", "name"), [(BANK, "www.bank.example"), (PUBLIC, "8.8.8.8")])
def test_the_authority_cant_vouch_for_the_world(
    folder: Folder, names: Names, name: str, now: datetime
) -> None:
    leaf = leaf_for(folder, names, now)

    with pytest.raises(VerificationError):
        verify(folder, leaf, name)
    assert "permitted subtree violation" in openssl(folder, leaf, name)


def test_keys_are_their_owners_alone(folder: Folder) -> None:
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in folder.path.iterdir()}

    assert modes == {"ca.crt": 0o644, "ca.key": 0o600, "gateway.pem": 0o600}


def test_a_leaf_lives_397_days_and_no_longer_than_its_authority(
    folder: Folder, now: datetime
) -> None:
    leaf = folder.leaf()
    last = folder.authority().not_valid_after_utc

    folder.renew(HERE, last - timedelta(days=100))

    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == LEAF_LIFE
    assert folder.leaf().not_valid_after_utc == last


def test_an_authority_is_not_written_over(folder: Folder, now: datetime) -> None:
    before = folder.authority()

    with pytest.raises(RefusedError, match="--force"):
        folder.make(HERE, now)
    assert folder.authority() == before
    folder.make(HERE, now, over=True)
    assert folder.authority() != before


def test_a_leaf_is_renewed_when_it_is_due(folder: Folder, now: datetime) -> None:
    moved = names_of("caja", [ip_address("192.168.0.99")])

    assert not folder.renew_if_due(HERE, now)
    assert folder.renew_if_due(moved, now)
    assert names_in(folder.leaf()) == moved
    assert folder.renew_if_due(moved, now + timedelta(days=370))


def test_what_was_not_made_yet_says_how_it_is(tmp_path: Path, now: datetime) -> None:
    with pytest.raises(NotFoundError, match="tls init"):
        Folder(tmp_path).renew(HERE, now)


def test_this_machine_has_names_its_authority_can_vouch_for(tmp_path: Path, now: datetime) -> None:
    made = Folder(tmp_path / "tls")
    made.make(machine_names(), now)

    verify(made, made.leaf(), "127.0.0.1")
