"""A gallery on Milvus, as the command builds it and a server serves it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import harness
import pytest

from service.errors import InvalidSetting
from service.settings import Settings

pytest.importorskip("milvus_lite", reason="needs the milvus-lite extra")


def whichone(data: Path, bundle: Path, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        env=harness.environment(data, bundle, **settings),
        cwd=harness.ROOT,
        capture_output=True,
        text=True,
        timeout=harness.DEADLINE,
        check=False,
    )


@pytest.mark.slow
def test_a_gallery_moves_to_milvus_and_is_served_from_there(tmp_path: Path, bundle: Path) -> None:
    data, uri = tmp_path / "data", tmp_path / "milvus.db"
    build = ("index", "build", "--engine", "milvus,flat")

    def candidates(server: harness.Server) -> list[object]:
        return [server.ask("default", harness.again(thing))["candidates"] for thing in range(4)]

    with harness.serving(data, bundle, milvus_uri=uri) as server:
        for thing in range(4):
            server.add("default", f"thing {thing}", harness.jpeg(thing), harness.jpeg(thing, (192, 144)))
        assert server.post("/galleries/default/publish").status_code == 200
        in_files = candidates(server)
        built = whichone(data, bundle, *build, milvus_uri=uri)
        assert built.returncode == 0, built.stderr
        assert "milvus,flat" in built.stdout
        harness.until("the server has turned to it", lambda: server.ask("default", harness.again(0))["generation"] == 2)
        assert candidates(server) == in_files
        server.add("default", "late", harness.jpeg(9))
        assert server.best("default", harness.jpeg(9)) == "late"
        assert server.post("/galleries/default/publish").json()["generation"] == 3
        assert server.best("default", harness.jpeg(9)) == "late"

        locked = whichone(data, bundle, *build, milvus_uri=uri)
        assert locked.returncode == 2
        assert "is open in one process at a time" in locked.stderr
        assert "Traceback" not in locked.stderr
    assert "WHICHONE_MILVUS_URI is not set" in harness.fail_to_start(data, bundle)


@pytest.mark.parametrize("uri", ["localhost:19530", "ftp://localhost", "folder/"])
def test_an_address_that_is_none_is_refused(uri: str) -> None:
    with pytest.raises(InvalidSetting, match=r"WHICHONE_MILVUS_URI cannot be used: .*http://.*\.db") as caught:
        Settings.load({}, milvus_uri=uri)
    assert uri not in caught.value.message  # it may hold a password


def test_an_address_and_a_token_are_not_shown() -> None:
    settings = Settings.load({}, milvus_uri="http://root:hidden@localhost:19530", milvus_token="hidden")
    assert "hidden" not in repr(settings)
