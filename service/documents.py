"""Documents made from the code: `python -m service.documents` refreshes them, and a test fails while they are stale.

docs/openapi.json    the HTTP interface
docs/settings.md     the environment variables
"""

from __future__ import annotations

import json
from pathlib import Path

from service.app import create_app
from service.settings import PREFIX, Settings, settings_markdown

__all__ = ["documents"]

_SETTINGS_HEAD = """# Settings

Environment variables of server and command (made from `service/settings.py` by `python -m service.documents`).
A variable that starts with `WHICHONE_` and is not listed here stops the program. {secrets} may lie in files:
their variable with `_FILE` behind it names the path (`WHICHONE_ADMIN_KEY_FILE=/run/secrets/admin-key`).

"""


def documents() -> dict[str, str]:
    """Path inside the repository -> content."""
    openapi = create_app(Settings.load({})).openapi()
    return {
        "docs/openapi.json": json.dumps(openapi, indent=1, sort_keys=True, ensure_ascii=False) + "\n",
        "docs/settings.md": _SETTINGS_HEAD.format(secrets=_secrets()) + settings_markdown(),
    }


def _secrets() -> str:
    names = [f"`{PREFIX}{name.upper()}`" for name in Settings.secrets()]
    return f"{', '.join(names[:-1])} and {names[-1]}"


if __name__ == "__main__":
    for name, content in documents().items():
        path = Path(__file__).parents[1] / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
