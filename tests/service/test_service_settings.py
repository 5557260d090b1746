"""Settings: known ones work, unknown and unusable ones stop the program, all are documented."""

from __future__ import annotations

from pathlib import Path

import harness
import pytest

from embedding import errors as domain
from service.documents import documents
from service.errors import InvalidSetting, SettingsError, UnknownSetting
from service.problems import STATUS, status_of
from service.settings import PREFIX, Settings


@pytest.mark.parametrize("name", ["docs/openapi.json", "docs/settings.md"])
def test_documents_are_fresh(name: str) -> None:
    committed = (harness.ROOT / name).read_text(encoding="utf-8")
    assert committed == documents()[name], "run `python -m service.documents`, and look at what changed"


def test_every_setting_has_a_description() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert f"`{PREFIX}{name.upper()}`" in (harness.ROOT / "docs/settings.md").read_text()


def test_only_settings_reads_the_environment() -> None:
    readers = [
        path.name
        for path in (harness.ROOT / "service").rglob("*.py")
        if any(word in path.read_text() for word in ("os.environ", "getenv", "BaseSettings"))
    ]
    assert readers == ["settings.py"]


def test_an_unknown_variable_names_the_nearest() -> None:
    with pytest.raises(UnknownSetting, match="WHICHONE_PRT is not a setting; did you mean WHICHONE_PORT"):
        Settings.load({"WHICHONE_PRT": "1"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "70000"),
        ("FAR_BUDGET", "2"),
        ("DEVICE", "tpu"),
        ("WORKERS", "0"),
        ("ADMIN_KEY", "short"),
        ("DATABASE_URL", "mysql://x"),
        ("LOG_FORMAT", "xml"),
        ("OPEN_RECOGNIZE", "perhaps"),
    ],
)
def test_an_unusable_value_names_its_variable(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(InvalidSetting, match=PREFIX + name) as caught:
        Settings.load()
    if name in {"ADMIN_KEY", "DATABASE_URL"}:
        assert value not in str(caught.value)  # it may be a secret


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.org", False),
    ],
)
def test_what_counts_as_loopback(host: str, loopback: bool) -> None:
    assert Settings.load({}, host=host).on_loopback is loopback


def test_a_server_says_in_one_sentence_why_it_does_not_start(tmp_path: Path, bundle: Path) -> None:
    said = harness.fail_to_start(tmp_path / "data", bundle, databse_url="x")
    assert said.startswith("error: WHICHONE_DATABSE_URL is not a setting; did you mean WHICHONE_DATABASE_URL?")
    assert "no bundle" in harness.fail_to_start(tmp_path / "data", tmp_path / "nowhere")
    assert "cuda" in harness.fail_to_start(tmp_path / "data", bundle, device="cuda")
    assert "cannot listen" in harness.fail_to_start(tmp_path / "data", bundle, host="203.0.113.1")


def test_secrets_do_not_show() -> None:
    settings = Settings.load({}, admin_key="very secret", database_url="postgresql://u:very-secret@h/d")
    assert "secret" not in repr(settings).lower().replace("secretstr", "")


def _subclasses(kind: type[domain.WhichoneError]) -> set[type[domain.WhichoneError]]:
    return {kind}.union(*(_subclasses(child) for child in kind.__subclasses__()))


def test_every_error_that_a_request_can_meet_has_a_status_of_its_own_or_its_family() -> None:
    import service.app  # noqa: F401, PLC0415  brings every error class into being

    at_start_only = (SettingsError,)
    no_request_meets = "index.evaluation"  # the command line's
    for kind in _subclasses(domain.WhichoneError) - {domain.WhichoneError}:
        if issubclass(kind, at_start_only) or kind.__module__.startswith(no_request_meets):
            continue
        if issubclass(kind, domain.InputError):
            assert 400 <= status_of(kind("x")) < 500, kind
    codes = {kind.code for kind in _subclasses(domain.WhichoneError)}
    assert set(STATUS) <= codes, "a status for a code that no error has"
