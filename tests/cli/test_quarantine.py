"""`quarantine`, on both engines: uploads that no valid local_id names."""

import json

import pytest

from bulonera_sync.sales import User
from tests.cli.conftest import Run
from tests.cli.shops import HOSTILE, Shop, is_inert, shop, widest
from tests.factories import make_item

__all__ = ["shop"]


@pytest.fixture
def ana(shop: Shop) -> User:
    return shop.user("ana")


def test_it_is_listed_newest_first(run: Run, shop: Shop, ana: User) -> None:
    shop.upload(ana, {"notes": "first"}, days=2)
    shop.upload(ana, {"local_id": "nope"}, hours=3)
    shop.upload(ana, {"local_id": "nope"}, hours=1)

    as_json, as_text = run("quarantine", "list", "--json").json, run("quarantine", "list").out

    assert (as_json["count"], as_json["total"]) == (2, 2)
    newest, oldest = as_json["results"]
    assert list(newest) == [
        "id",
        "created_by",
        "error",
        "errors",
        "received_at",
        "last_received_at",
        "times",
    ]
    assert (newest["created_by"], newest["times"], oldest["times"]) == ("ana", 2, 1)
    assert newest["error"] == "local_id debe ser UUID válido (RFC 4122), recibido: nope"
    assert newest["errors"][0]["code"] == "local_id_invalid"
    assert "1 h ago" in as_text
    assert newest["error"] in as_text
    assert f"quarantine show {newest['id']}" in as_text


def test_a_list_cut_short_says_how_many_there_are(run: Run, shop: Shop, ana: User) -> None:
    shop.upload(ana, *({"local_id": f"no {n}"} for n in range(3)))

    ran = run("quarantine", "list", "--limit", 2)

    assert "These are 2 of 3; --limit 3 shows all." in ran.err
    told = run("quarantine", "list", "--limit", 2, "--json").json
    assert (told["count"], told["total"]) == (2, 3)


def test_an_empty_quarantine_says_what_it_means(run: Run) -> None:
    assert "every upload had a valid local_id" in run("quarantine", "list").out


def test_a_payload_is_shown_with_numbers_as_sent(run: Run, shop: Shop, ana: User) -> None:
    text = '{"local_id": "nope", "total": 5.10, "total":  5.1e0, "items": [], "x": {"a": [1, "b"]}}'

    shop.upload_text(ana, text)
    [row] = run("quarantine", "list", "--json").json["results"]

    as_text = run("quarantine", "show", row["id"]).out
    as_json = run("quarantine", "show", row["id"], "--json").json

    assert as_json == {**row, "payload": text}
    lines = [line[2:] for line in as_text.partition("What was sent\n")[2].splitlines()]
    assert lines[:12] == [
        "{",
        '  "local_id": "nope",',
        '  "total": 5.1e0,',
        '  "items": [],',
        '  "x": {',
        '    "a": [',
        "      1,",
        '      "b"',
        "    ]",
        "  }",
        "}",
        "",
    ]


@pytest.mark.parametrize("width", ["40", "80", "140"])
def test_hostile_payloads_are_inert_on_a_terminal_and_exact_in_json(
    run: Run, shop: Shop, ana: User, monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    items = [make_item(**{HOSTILE: HOSTILE * 50}) for _ in range(40)]
    shop.upload(ana, {"local_id": HOSTILE, HOSTILE: HOSTILE, "items": items})
    monkeypatch.setenv("COLUMNS", width)

    for arguments in (("list",), ("show", 1)):
        out = run("quarantine", *arguments).out
        assert is_inert(out)
        assert widest(out) <= int(width)
    shown = run("quarantine", "show", 1)
    assert "more lines; --json has all" in shown.out
    as_json = run("quarantine", "show", 1, "--json")
    assert is_inert(as_json.out)
    assert json.loads(as_json.json["payload"])[HOSTILE] == HOSTILE


def test_what_is_no_sale_at_all_is_shown_too(run: Run, shop: Shop, ana: User) -> None:
    shop.upload(ana, "just a text\x1b", 7, None)

    for number in (1, 2, 3):
        assert is_inert(run("quarantine", "show", number).out)


@pytest.mark.parametrize(("name", "code"), [("99", 1), ("0", 2), ("first", 2), ("9" * 30, 2)])
def test_what_is_not_there_is_refused(run: Run, name: str, code: int) -> None:
    ran = run("quarantine", "show", name)

    assert ran.code == code
    assert ran.error
