"""The authority and the leaf as certificates. No disk: `files` keeps them."""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bulonera_sync.tls.names import (
    AUTHORITY_LIFE,
    BACKDATED,
    DOMAINS,
    LEAF_LIFE,
    NETWORKS,
    Names,
)

Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: Key

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def make_authority(hostname: str, now: datetime) -> Pair:
    """Return a new authority, which can vouch for local names and addresses alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "bulonera-sync"),
            # The day tells an old tablet's authority from a newer one of the same machine.
            x509.NameAttribute(NameOID.COMMON_NAME, f"Bulonera {hostname[:32]} {now:%Y-%m-%d}"),
        ]
    )
    permitted: list[x509.GeneralName] = [
        *map(x509.DNSName, DOMAINS),
        *map(x509.IPAddress, NETWORKS),
    ]
    builder = (
        _builder(name, name, key, now, now + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
    )
    return Pair(builder.sign(key, SHA256()), key)


def make_leaf(authority: Pair, names: Names, now: datetime) -> Pair:
    """Return a new leaf for these names; it ends with its authority at the latest."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bulonera-sync")])
    end = min(now - BACKDATED + LEAF_LIFE, issuer.not_valid_after_utc)
    said: list[x509.GeneralName] = [
        *map(x509.DNSName, sorted(names.domains)),
        *(x509.IPAddress(each) for each in sorted(names.addresses, key=str)),
    ]
    public = authority.key.public_key()
    builder = (
        _builder(subject, issuer.subject, key, now, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(said), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
    )
    return Pair(builder.sign(authority.key, SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: Key, now: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def read_pair(certificate_pem: bytes, key_pem: bytes) -> Pair:
    """Return what PEM texts hold; raises `ValueError`."""
    key = load_pem_private_key(key_pem, None)
    if not isinstance(key, Key):
        raise ValueError("the key is of another kind")
    return Pair(x509.load_pem_x509_certificate(certificate_pem), key)


def names_in(certificate: x509.Certificate) -> Names:
    """Return the names a certificate is for."""
    said = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = said.get_values_for_type(x509.IPAddress)
    return Names(
        frozenset(said.get_values_for_type(x509.DNSName)),
        frozenset(each for each in addresses if not hasattr(each, "prefixlen")),
    )


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 fingerprint as tablets show it: "AB:CD:..."."""
    return certificate.fingerprint(SHA256()).hex(":").upper()
