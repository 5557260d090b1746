"""Headers that every answer carries, and which web pages of other sites may read one.

Strict-Transport-Security is not among them: it speaks for a whole host name, and is for whoever ends TLS there to say.
"""

from __future__ import annotations

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.rates import Allowance

__all__ = ["AnswerHeaders", "allow_origins"]

_DEFAULTS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""A route that sets one of them itself has its own."""

_MAX_AGE = 600


class AnswerHeaders:
    """ASGI middleware, outside of all others, so that also an answer to a defect has them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add to its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _DEFAULTS.items():
                    headers.setdefault(name, value)
                allowance = state.get("allowance")
                if isinstance(allowance, Allowance):
                    headers.update(allowance.headers())
            await send(message)

        await self._app(scope, receive, with_headers)


def allow_origins(app: FastAPI, origins: tuple[str, ...]) -> None:
    """Let pages of these origins (`*`: of any) call the server. Never with a browser's credentials: keys are sent by
    the page itself, and there is nothing else to send."""
    app.add_middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET", "POST", "PATCH", "DELETE"],
        allow_headers=["X-API-Key", "X-Request-Id", "Content-Type"],
        expose_headers=["X-Request-Id", "Location", "Retry-After", "RateLimit", "RateLimit-Policy"],
        allow_credentials=False,
        max_age=_MAX_AGE,
    )
