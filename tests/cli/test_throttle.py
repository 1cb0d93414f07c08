"""`throttle`, on both engines: what is left of the allowances, and giving one back."""

import pytest

from bulonera_sync.config import Settings
from bulonera_sync.gateway import Gateway
from bulonera_sync.sales import User
from tests.cli.conftest import Run
from tests.cli.shops import Shop, shop, widest
from tests.conftest import make_settings

__all__ = ["shop"]


@pytest.fixture
def settings(store_url: str) -> Settings:
    """As the tests', with the throttle on."""
    return make_settings(store_url, throttle="50/hour")


def spend(shop: Shop, user: User, times: int) -> None:
    async def spend_all(gateway: Gateway) -> None:
        issued = await gateway.create_token(user.username)
        for _ in range(times):
            await gateway.admit(issued.token)

    shop.do(spend_all)


def test_what_is_left_is_shown(run: Run, shop: Shop) -> None:
    ana, _ = shop.user("ana"), shop.user("beto")
    spend(shop, ana, 50)

    as_json, as_text = run("throttle", "show", "--json").json, run("throttle", "show").out

    assert (as_json["count"], as_json["throttle"]) == (2, "50/hour")
    first, second = as_json["results"]
    assert list(first) == ["username", "limit", "remaining", "reset_seconds", "wait_seconds"]
    assert (first["username"], first["limit"], first["remaining"]) == ("ana", 50, 0)
    assert 3500 < first["reset_seconds"] <= 3600
    assert 0 < first["wait_seconds"] <= 72
    assert (second["remaining"], second["wait_seconds"]) == (50, 0)
    assert "is full" in as_text
    assert "throttle reset" in as_text


def test_one_user_can_be_asked_for(run: Run, shop: Shop) -> None:
    shop.user("ana")
    shop.user("beto")

    assert run("throttle", "show", "beto", "--json").json["count"] == 1
    unknown = run("throttle", "show", "nobody\x1b[2J")
    assert unknown.code == 1
    assert "user list" in unknown.error


def test_a_reset_gives_the_whole_allowance_back(run: Run, shop: Shop) -> None:
    spend(shop, shop.user("ana"), 50)

    ran = run("throttle", "reset", "ana")

    assert ran.out == "ana has all 50 requests again, within a second.\n"
    [row] = run("throttle", "show", "--json").json["results"]
    assert (row["remaining"], row["wait_seconds"]) == (50, 0)
    assert run("throttle", "reset", "nobody").code == 1


def test_no_users_say_what_to_do(run: Run) -> None:
    assert "user add" in run("throttle", "show").out


def test_an_off_throttle_says_so(run: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.user("ana")
    monkeypatch.setenv("BULONERA_SYNC__THROTTLE", "off")

    assert "The throttle is off" in run("throttle", "show").out
    assert run("throttle", "show", "--json").json == {
        "count": 0,
        "throttle": "off",
        "results": [],
    }
    assert "the throttle is off" in run("throttle", "reset", "ana").out


@pytest.mark.parametrize("width", ["30", "80"])
def test_no_line_is_wider_than_the_screen(
    run: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    shop.user("b" * 64)
    monkeypatch.setenv("COLUMNS", width)

    assert widest(run("throttle", "show").out) <= int(width)
