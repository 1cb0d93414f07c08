"""Names and times of the gateway's certificate."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest

from bulonera_sync.tls.names import (
    Names,
    is_due,
    is_local,
    is_loopback,
    names_of,
    reached_at,
    read_ipv4,
    read_ipv6,
)

NOW = datetime(2026, 2, 16, 12, tzinfo=UTC)
HERE = names_of("caja", [ip_address("192.168.0.20")])
FAR = NOW + timedelta(days=31)


def test_a_machine_goes_by_its_local_names_and_addresses() -> None:
    names = names_of("Caja.example.com", [ip_address("192.168.0.20"), ip_address("8.8.8.8")])

    assert names.domains == {
        "bulonera.local", "localhost", "caja.local", "caja.lan", "caja.home.arpa",
    }  # fmt: skip
    assert set(map(str, names.addresses)) == {"127.0.0.1", "::1", "192.168.0.20"}


def test_a_hostname_that_is_no_name_is_left_out() -> None:
    assert names_of("caja_1", []).domains == {"bulonera.local", "localhost"}


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.1.2.3", True), ("172.31.0.1", True), ("172.32.0.1", False), ("192.168.1.1", True),
        ("169.254.9.9", True), ("100.64.0.1", False), ("8.8.8.8", False),
        ("fd00::1", True), ("fe80::1", True), ("2800:810::1", False),
    ],
)  # fmt: skip
def test_private_and_link_local_addresses_are_local(address: str, expected: bool) -> None:  # noqa: FBT001
    assert is_local(ip_address(address)) is expected


def test_a_leaf_is_due_thirty_days_before_its_end() -> None:
    assert not is_due(FAR, HERE, HERE, NOW)
    assert is_due(NOW + timedelta(days=30), HERE, HERE, NOW)


def test_a_leaf_is_due_when_the_machine_has_a_new_address() -> None:
    moved = names_of("caja", [ip_address("192.168.0.21")])

    assert is_due(FAR, HERE, moved, NOW)


def test_an_address_that_is_gone_makes_no_leaf_due() -> None:
    assert not is_due(FAR, HERE, names_of("caja", []), NOW)


def test_addresses_are_read_as_the_kernel_lists_them() -> None:
    trie = (
        "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 127.0.0.1\n        /32 host LOCAL\n"
        "     |-- 192.168.0.0\n        /24 link UNICAST\n"
        "     |-- 192.168.0.20\n        /32 host LOCAL\n"
    )
    inet6 = (
        "fe800000000000000000000000000001 02 40 20 80 eth0\n"
        "fd000000000000000000000000000002 02 40 00 80 eth0\n"
    )

    assert set(map(str, read_ipv4(trie))) == {"127.0.0.1", "192.168.0.20"}
    assert set(map(str, read_ipv6(inet6))) == {"fd00::2"}


SEVERAL = Names(
    frozenset(),
    frozenset(map(ip_address, ("127.0.0.1", "172.17.0.1", "192.168.0.10", "fd00::5"))),
)


def test_the_address_that_the_machine_itself_uses_comes_before_a_bridge_of_its_own() -> None:
    reached = reached_at(SEVERAL, "0.0.0.0", ip_address("192.168.0.10"))  # noqa: S104

    assert list(map(str, reached)) == ["192.168.0.10", "172.17.0.1", "fd00::5"]


def test_a_daemon_on_one_address_is_reached_at_that_alone() -> None:
    reached = reached_at(SEVERAL, "192.168.0.10", ip_address("172.17.0.1"))

    assert list(map(str, reached)) == ["192.168.0.10"]


@pytest.mark.parametrize(
    ("host", "is_alone"),
    [
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104
        ("192.168.0.10", False),
        ("gateway.lan", False),
    ],
)
def test_a_loopback_host_is_heard_on_its_own_machine_alone(host: str, *, is_alone: bool) -> None:
    assert is_loopback(host) == is_alone
