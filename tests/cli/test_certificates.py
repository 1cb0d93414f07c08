"""`tls`, as an operator has it."""

from tests.cli.conftest import Run


def test_init_makes_certificates_and_says_what_comes_next(run_anywhere: Run) -> None:
    made = run_anywhere("tls", "init")

    shown = run_anywhere("tls", "show", "--json").json
    assert made.code == 0
    assert shown["authority"]["fingerprint"] in made.out
    assert 'host = "0.0.0.0"' in made.out
    assert "bulonera.local" in shown["names"]
    assert "127.0.0.1" in shown["addresses"]


def test_a_second_init_is_refused_unless_forced(run_anywhere: Run) -> None:
    run_anywhere("tls", "init")
    before = run_anywhere("tls", "show", "--json").json

    refused = run_anywhere("tls", "init")

    assert refused.code == 1
    assert "--force" in refused.error
    assert run_anywhere("tls", "show", "--json").json == before
    assert run_anywhere("tls", "init", "--force").code == 0
    assert run_anywhere("tls", "show", "--json").json != before


def test_renew_keeps_the_authority(run_anywhere: Run) -> None:
    run_anywhere("tls", "init")
    before = run_anywhere("tls", "show", "--json").json

    renewed = run_anywhere("tls", "renew")

    assert renewed.code == 0
    assert run_anywhere("tls", "show", "--json").json["authority"] == before["authority"]


def test_before_init_there_is_nothing_to_show(run_anywhere: Run) -> None:
    shown = run_anywhere("tls", "show")

    assert shown.code == 1
    assert "tls init" in shown.error
