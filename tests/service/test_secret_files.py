"""Secrets from files: what is in them is used, and what cannot be used stops the program with the variable's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.errors import InvalidSetting, UnknownSetting
from service.settings import Settings


def test_a_secret_comes_from_its_file_without_the_newline(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a key of some length\n")
    (tmp_path / "url").write_text("postgresql://whichone:secret@postgres/whichone\n")
    settings = Settings.load(
        {"WHICHONE_ADMIN_KEY_FILE": str(tmp_path / "key"), "WHICHONE_DATABASE_URL_FILE": str(tmp_path / "url")}
    )
    assert settings.admin_key is not None
    assert settings.admin_key.get_secret_value() == "a key of some length"
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://whichone:secret@postgres/whichone"


def test_secrets_alone_may_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "port").write_text("9000")
    with pytest.raises(UnknownSetting, match="WHICHONE_PORT_FILE is not a setting"):
        Settings.load({"WHICHONE_PORT_FILE": str(tmp_path / "port")})


def test_an_empty_variable_counts_as_unset() -> None:
    assert Settings.load({"WHICHONE_ADMIN_KEY_FILE": ""}).admin_key is None


def test_given_both_ways_neither_wins(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a key of some length")
    with pytest.raises(InvalidSetting, match="WHICHONE_ADMIN_KEY_FILE and WHICHONE_ADMIN_KEY are both set"):
        Settings.load({"WHICHONE_ADMIN_KEY_FILE": str(tmp_path / "key"), "WHICHONE_ADMIN_KEY": "another key"})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file"),
        (b"\n", "is empty"),
        (b"\xff\xfe", "no text"),
        (b"x" * 70_000, "too large"),
    ],
)
def test_a_file_without_a_secret_is_named(tmp_path: Path, content: bytes | None, reason: str) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    with pytest.raises(InvalidSetting, match=f"WHICHONE_ADMIN_KEY_FILE names {tmp_path}/key.*{reason}"):
        Settings.load({"WHICHONE_ADMIN_KEY_FILE": str(tmp_path / "key")})


def test_a_secret_that_is_refused_is_refused_by_its_setting(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("short")
    with pytest.raises(InvalidSetting, match="WHICHONE_ADMIN_KEY cannot be used: an admin key has 8"):
        Settings.load({"WHICHONE_ADMIN_KEY_FILE": str(tmp_path / "key")})
