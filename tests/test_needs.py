"""A test that lacks something fails where nothing may be left out."""

import os

import pytest

from tests.needs import give_up, need_program, need_root


@pytest.mark.parametrize(("variable", "value"), [("CI", "true"), ("OF_ITS_OWN", "1")])
def test_it_fails_where_it_is_required(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv(variable, value)

    with pytest.raises(pytest.fail.Exception, match="lacking"):
        give_up("lacking", required_by="OF_ITS_OWN")


def test_it_is_skipped_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)

    with pytest.raises(pytest.skip.Exception, match="lacking"):
        give_up("lacking")


def test_a_missing_program_and_a_missing_root_are_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(pytest.fail.Exception, match="apt install openssl"):
        need_program("openssl", package="openssl")
    with pytest.raises(pytest.fail.Exception, match="root"):
        need_root()
