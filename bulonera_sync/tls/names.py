"""Which names a certificate has, which it may have, and when it is due. No disk, no clock."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path

Address = IPv4Address | IPv6Address

SHOP_NAME = "bulonera.local"
# No bank has such a name or address: whoever steals the authority's key can't pass for one.
DOMAINS = ("local", "lan", "home.arpa", "localhost")
NETWORKS = tuple(
    map(
        ip_network,
        (
            "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16",
            "fc00::/7", "fe80::/10", "::1/128",
        ),
    )
)  # fmt: skip
AUTHORITY_LIFE = timedelta(days=3653)
# Browsers refuse a leaf that lives longer than 398 days.
LEAF_LIFE = timedelta(days=397)
RENEWAL = timedelta(days=30)
# A tablet's clock may be behind.
BACKDATED = timedelta(days=1)

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_LOCAL_ROUTE = re.compile(r"\|-- ([0-9.]+)\s+/32 host LOCAL", re.ASCII)


@dataclass(frozen=True, slots=True)
class Names:
    """What a machine is called: DNS names and addresses."""

    domains: frozenset[str]
    addresses: frozenset[Address]

    def has(self, others: "Names") -> bool:
        """Say whether all of the others are among these."""
        return others.domains <= self.domains and others.addresses <= self.addresses


def leaf_in(folder: Path) -> Path:
    """Return the file of the gateway's own leaf: its key and certificates in one.

    No reader finds the halves of two.
    """
    return folder / "gateway.pem"


def names_of(hostname: str, addresses: Iterable[Address]) -> Names:
    """Return the names by which a tablet may reach the machine; public addresses are left out."""
    label = hostname.split(".", maxsplit=1)[0].lower()
    own = {f"{label}.{each}" for each in DOMAINS[:3]} if _LABEL.fullmatch(label) else set()
    loopback = (ip_address("127.0.0.1"), ip_address("::1"))
    return Names(
        frozenset({SHOP_NAME, "localhost", *own}),
        frozenset(each for each in (*loopback, *addresses) if is_local(each)),
    )


def is_local(address: Address) -> bool:
    """Say whether the authority may vouch for the address."""
    return any(address in network for network in NETWORKS)


def is_loopback(host: str) -> bool:
    """Say whether a daemon that listens on this host is heard on its own machine alone."""
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def reached_at(names: Names, host: str, outward: Address | None) -> list[Address]:
    """Return the addresses at which a tablet reaches a daemon on `host`, the likeliest first.

    `outward` is the one that this machine itself speaks to others from: a bridge of its own, as
    Docker makes one, has an address that is no tablet's.
    """
    named = ip_address(host) if _is_address(host) else None
    reached = [
        each
        for each in names.addresses
        if not each.is_loopback
        and not each.is_link_local
        and (named is None or named.is_unspecified or each == named)
    ]
    return sorted(reached, key=lambda each: (each != outward, each.version, each))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_due(ends: datetime, has: Names, needed: Names, now: datetime) -> bool:
    """Say whether a leaf is to be renewed.

    A name that is no longer needed renews nothing: a cable pulled for a minute takes one away.
    """
    return ends - now <= RENEWAL or not has.has(needed)


def read_ipv4(fib_trie: str) -> set[Address]:
    """Return the machine's IPv4 addresses from the text of /proc/net/fib_trie."""
    return {IPv4Address(found) for found in _LOCAL_ROUTE.findall(fib_trie)}


def read_ipv6(if_inet6: str) -> set[Address]:
    """Return the machine's IPv6 addresses from the text of /proc/net/if_inet6.

    Link-local ones are left out: a browser can't open an address with a zone.
    """
    found = (IPv6Address(int(line.split()[0], 16)) for line in if_inet6.splitlines())
    return {each for each in found if not each.is_link_local}
