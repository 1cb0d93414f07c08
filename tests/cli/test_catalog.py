"""`catalog`, on both engines: CSV files as shops have them."""

from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run


def rows_of(run: Run, kind: str) -> Any:
    return run("catalog", "list", kind, "--json").json["results"]


def test_customers_are_imported_and_listed(run: Run, folder: Path) -> None:
    file = folder / "customers.csv"
    file.write_text("id,name,tax_id,active\n5,Herrería Núñez,20-1-7,1\n7,De antes,,no\n", "utf-8")

    done = run("catalog", "import", "customers", file, "--json")

    assert done.json == {"imported": 2, "deactivated": 0}
    assert run("catalog", "list", "customers", "--json").json == {
        "count": 2,
        "total": 2,
        "results": [
            {"id": 5, "name": "Herrería Núñez", "tax_id": "20-1-7", "active": True},
            {"id": 7, "name": "De antes", "tax_id": "", "active": False},
        ],
    }


def test_products_are_imported_and_listed(run: Run, folder: Path) -> None:
    file = folder / "products.csv"
    file.write_text(
        "id,code,name,price,tax_percentage,active\n10,T-M8,Tornillo,25.5,21,1\n11,,Sin precio,,,\n"
    )

    run("catalog", "import", "products", file)

    tornillo = {"id": 10, "code": "T-M8", "name": "Tornillo", "price": "25.50"}
    bare = {"id": 11, "code": "", "name": "Sin precio", "price": None, "tax_percentage": None}
    assert rows_of(run, "products") == [
        {**tornillo, "tax_percentage": "21.00", "active": True},
        {**bare, "active": True},
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "windows-1252"])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_any_offices_csv_is_understood(
    run: Run, folder: Path, encoding: str, delimiter: str
) -> None:
    file = folder / "products.csv"
    lines = ["id,name,price", '1,Año “Ñandú”,"1.234,5"', '2,Clavo,"0,0125"']
    text = "\r\n".join(lines).replace(",", delimiter).replace(f"4{delimiter}5", "4,5")
    file.write_bytes(text.replace(f"0{delimiter}0125", "0,0125").encode(encoding))

    ran = run("catalog", "import", "products", file)

    assert ran.code == 0
    rows = rows_of(run, "products")
    assert [row["name"] for row in rows] == ["Año “Ñandú”", "Clavo"]
    assert [row["price"] for row in rows] == ["1234.50", "0.0125"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("x,Clavo,1", "id"),
        ("0,Clavo,1", "id"),
        ("2,,1", "name is empty"),
        ("2,Clavo,caro", "price"),
        ("2,Clavo,-1", "price"),
        ("2,Clavo,1.23456", "price"),
        ("2,Clavo,1,5", "columns"),
        ("1,Clavo,1", "line 2 already"),
    ],
)
def test_a_bad_row_is_named_by_its_line_and_nothing_is_imported(
    run: Run, folder: Path, line: str, words: str
) -> None:
    file = folder / "products.csv"
    file.write_text(f"id,name,price\n1,Tornillo,2.5\n{line}\n3,Tuerca,1\n")

    ran = run("catalog", "import", "products", file)

    assert ran.code == 1
    assert f"{file}: line 3: " in ran.error
    assert words in ran.error
    assert rows_of(run, "products") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column id"),
        ("id,price\n1,2\n", "no column name"),
        ("id,name,colour\n1,Clavo,red\n", "unknown column colour"),
        ("id,name,name\n1,Clavo,Clavo\n", "name stands twice"),
    ],
)
def test_a_wrong_header_is_refused(run: Run, folder: Path, text: str, words: str) -> None:
    file = folder / "products.csv"
    file.write_text(text)

    ran = run("catalog", "import", "products", file)

    assert ran.code == 1
    assert words in ran.error


def test_a_file_that_is_missing_is_named(run: Run) -> None:
    ran = run("catalog", "import", "products", "nowhere.csv")

    assert ran.code == 1
    assert "nowhere.csv" in ran.error


def test_a_second_import_updates_and_leaves_the_rest_alone(run: Run, folder: Path) -> None:
    file = folder / "customers.csv"
    file.write_text("id,name\n1,Ana\n2,Beto\n")
    run("catalog", "import", "customers", file)
    file.write_text("id,name\n2,Alberto\n")

    done = run("catalog", "import", "customers", file, "--json").json

    assert done == {"imported": 1, "deactivated": 0}
    rows = rows_of(run, "customers")
    assert [(row["name"], row["active"]) for row in rows] == [("Ana", True), ("Alberto", True)]


def test_what_is_absent_is_made_inactive_when_asked(run: Run, folder: Path) -> None:
    file = folder / "customers.csv"
    file.write_text("id,name\n1,Ana\n2,Beto\n")
    run("catalog", "import", "customers", file)
    file.write_text("id,name\n2,Beto\n")

    done = run("catalog", "import", "customers", file, "--deactivate-missing", "--json").json

    assert done == {"imported": 1, "deactivated": 1}
    assert [row["active"] for row in rows_of(run, "customers")] == [False, True]


def test_a_list_cut_short_says_how_many_there_are(run: Run, folder: Path) -> None:
    file = folder / "customers.csv"
    file.write_text("id,name\n1,Ana\n2,Beto\n3,Caro\n")
    run("catalog", "import", "customers", file)

    as_json = run("catalog", "list", "customers", "--limit", 2, "--json")
    as_table = run("catalog", "list", "customers", "--limit", 2)

    assert (as_json.json["count"], as_json.json["total"]) == (2, 3)
    assert "2 of 3" in as_table.err
    assert "Caro" not in as_table.out


def test_an_empty_catalogue_says_what_it_means(run: Run) -> None:
    ran = run("catalog", "list", "products")

    assert "catalog import products FILE" in ran.out


def test_a_hostile_name_is_listed_inert(run: Run, folder: Path) -> None:
    file = folder / "customers.csv"
    file.write_text("id,name\n1,\x1b[31mroja\x9b0m\u202e [bold]x[/bold] :bolt:\n", "utf-8")
    run("catalog", "import", "customers", file)

    as_table = run("catalog", "list", "customers").out
    as_json = run("catalog", "list", "customers", "--json")

    for control in "\x1b\x9b\u202e":
        assert control not in as_table + as_json.out
    assert "[bold]x[/bold] :bolt:" in as_table
    assert as_json.json["results"][0]["name"].startswith("\x1b[31mroja")


def test_a_quote_that_is_never_closed_swallows_no_line(run: Run, folder: Path) -> None:
    file = folder / "customers.csv"
    file.write_text('id,name\n1,"abierta\n2,b\n')

    ran = run("catalog", "import", "customers", file)

    assert ran.code == 1
    assert "line 3: not CSV" in ran.err
    assert rows_of(run, "customers") == []


def test_a_column_that_is_left_out_stays_as_it_was(run: Run, folder: Path) -> None:
    file = folder / "customers.csv"
    file.write_text("id,name,tax_id,active\n1,Juan,20-1-7,no\n")
    run("catalog", "import", "customers", file)
    file.write_text("id,name\n1,Juan Pérez\n", "utf-8")

    run("catalog", "import", "customers", file)

    [row] = rows_of(run, "customers")
    assert row == {"id": 1, "name": "Juan Pérez", "tax_id": "20-1-7", "active": False}


def test_a_point_among_decimal_commas_is_not_guessed_at(run: Run, folder: Path) -> None:
    file = folder / "products.csv"
    file.write_text("id;name;price\n1;Clavo;0,50\n2;Amoladora;1.500\n")

    ran = run("catalog", "import", "products", file)

    assert ran.code == 1
    assert "line 3: price 1.500 has a point and others a comma; write 1500 or 1,500" in ran.err
    assert rows_of(run, "products") == []
