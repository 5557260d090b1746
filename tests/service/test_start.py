"""What a start leaves behind for the requests that follow."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

from service.app import create_app
from service.settings import Settings


def test_requests_do_not_pay_for_looking_through_what_the_start_made(tmp_path: Path, bundle: Path) -> None:
    settings = Settings.load({"WHICHONE_ADMIN_KEY": "k" * 20}, data=tmp_path, bundle=bundle, threads=1)
    app = create_app(settings)

    async def started() -> int:
        async with app.router.lifespan_context(app):
            return gc.get_freeze_count()

    assert asyncio.run(started()) > 10_000
    assert gc.get_freeze_count() == 0  # a test process may start many
