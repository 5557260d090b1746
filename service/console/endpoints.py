"""`/console/`: web pages, for whoever asks; they hold nothing, and call the API with the key of who looks at them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi import Path as PathParameter
from starlette.responses import RedirectResponse
from starlette.staticfiles import StaticFiles

__all__ = ["PAGES", "PAGE_ROUTE", "POLICY", "router"]

PAGE_ROUTE = "/console/{path:path}"

PAGES = Path(__file__).parent / "pages"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy: nothing from other hosts, no script or style but these files, no page around them."""

_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}
"""Media types; the tables of machines differ."""

_files = StaticFiles(directory=PAGES)
router = APIRouter(include_in_schema=False)


@router.api_route("/", methods=["GET", "HEAD"])
@router.api_route("/console", methods=["GET", "HEAD"])
async def to_console() -> Response:
    """To the pages, wherever a proxy put the server: the address is relative."""
    return RedirectResponse("console/", 307)


@router.api_route(PAGE_ROUTE, methods=["GET", "HEAD"])
async def page(request: Request, path: Annotated[str, PathParameter()]) -> Response:
    """A file of the console. A browser asks each time whether it has changed, and takes it again only then.

    Raises:
        HTTPException: 404, there is no such file.
    """
    name = path or "index.html"
    answer = await _files.get_response(name, request.scope)
    if answer.status_code == 200:
        answer.headers["Content-Type"] = f"{_TYPES.get(Path(name).suffix, 'text/plain')}; charset=utf-8"
    answer.headers["Content-Security-Policy"] = POLICY
    answer.headers["Cache-Control"] = "no-cache"
    return answer
