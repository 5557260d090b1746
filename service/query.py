"""Unknown query parameters are refused: `?galery=x` must not act on another gallery than was meant."""

from __future__ import annotations

import difflib

from fastapi import Request
from fastapi.routing import APIRoute

from service.errors import FieldUnknown

__all__ = ["refuse_unknown_query"]


async def refuse_unknown_query(request: Request) -> None:
    """Dependency of every route.

    Raises:
        FieldUnknown: names the parameter and the nearest known one.
    """
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    document = request.app.openapi()  # made once, then kept
    call = document["paths"].get(route.path_format, {}).get(request.method.lower(), {})
    known = [entry["name"] for entry in call.get("parameters", []) if entry["in"] == "query"]
    for name in request.query_params:
        if name not in known:
            listed = ", ".join(f"`{field}`" for field in known) or "none at all"
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean `{near[0]}`?" if near else ""
            raise FieldUnknown(
                f"query parameter `{name[:40]}` is unknown here; this call takes {listed}{hint}", field=name[:40]
            )
