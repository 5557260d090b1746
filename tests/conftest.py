"""What holds for all tests: which of them `make check` leaves out (those that start processes of their own), and that
none looks at the clock."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("no deadline", settings(), deadline=None)
settings.load_profile("no deadline")

# As the command does (`cli`), before anything imports NumPy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

TESTS = Path(__file__).parent
SLOW = ("cli", "demo", "test_readme.py", "service/test_http_processes.py", "service/test_http_index.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(item.path.is_relative_to(TESTS / place) for place in SLOW):
            item.add_marker(pytest.mark.slow)
