"""The short version of `benchmarks/kill_nine.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import harness
import pytest


@pytest.mark.slow
def test_three_kills_lose_nothing(tmp_path: Path, bundle: Path) -> None:
    script = harness.ROOT / "benchmarks" / "kill_nine.py"
    report = tmp_path / "report.json"
    command = [
        sys.executable,
        str(script),
        "--kills",
        "3",
        "--warm-up",
        "20",
        "--bundle",
        str(bundle),
        "--json",
        str(report),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(report.read_text())
    assert (found["kills"], found["clean"]) == (3, True)
    assert found["acknowledged"] > 0
