"""Runs the application: one process or several, with a clean end on Ctrl-C and SIGTERM."""

from __future__ import annotations

import functools
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path

import uvicorn
from uvicorn.supervisors import Multiprocess

from embedding.errors import WhichoneError
from service.app import create_app, prepare
from service.errors import InvalidSetting
from service.logs import uvicorn_log_config
from service.observability.shared_metrics import metrics_folder
from service.settings import Settings
from service.workspace import Workspace

__all__ = ["main", "run"]

_GRACE = 20
"""Seconds that requests under way get to finish."""

_SLOW_START = 30
"""Seconds without a sign of life after which a worker is replaced: on a busy machine its imports alone take more than
uvicorn's 5, and it would be killed and begun anew for ever."""


def run(settings: Settings) -> None:
    """Serve until Ctrl-C or SIGTERM; prints the address once requests are answered.

    Raises:
        WhichoneError: it cannot start; nothing was served.
    """
    listener = _listen(settings)
    workspace = Workspace(settings)
    try:
        prepare(workspace)  # here, where an error is one sentence, and not in each worker
        with metrics_folder() if settings.workers > 1 else nullcontext() as folder:
            _serve(settings, listener, workspace, folder)
    finally:
        workspace.close()
        listener.close()


def _serve(settings: Settings, listener: socket.socket, workspace: Workspace, metrics: Path | None) -> None:
    several = settings.workers > 1
    if several:
        workspace.close()  # each worker opens its own
    config = uvicorn.Config(
        functools.partial(create_app, settings, prepared=None if several else workspace, shared_metrics=metrics),
        factory=True,
        workers=settings.workers,
        log_config=uvicorn_log_config(settings),
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
        timeout_worker_healthcheck=_SLOW_START,
    )
    threading.Thread(target=_announce, args=(listener, settings.console), daemon=True).start()
    # uvicorn ends cleanly on Ctrl-C and then raises the signal again; here it is the ordinary way to stop.
    with suppress(KeyboardInterrupt):
        if several:
            Multiprocess(config, sockets=[listener]).run()
        else:
            uvicorn.Server(config).run(sockets=[listener])


def main() -> int:
    """`python -m service`: serve with the environment's settings. Returns the exit status."""
    try:
        run(Settings.load())
    except WhichoneError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # before it serves
        return 130
    return 0


def _listen(settings: Settings) -> socket.socket:
    try:
        [family, kind, protocol, _, address] = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with ExitStack() as undo:
            listener = undo.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            undo.pop_all()
    except OSError as error:
        raise InvalidSetting(
            f"cannot listen on {settings.host}, port {settings.port}: {error.strerror}; "
            "set WHICHONE_HOST and WHICHONE_PORT",
            setting="WHICHONE_PORT",
        ) from error
    listener.set_inheritable(True)
    return listener


def _announce(listener: socket.socket, console: bool) -> None:
    """Print the address as soon as a request to it is answered."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    reachable = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(shown, shown)  # noqa: S104  compared, not bound
    while True:
        try:
            with urllib.request.urlopen(f"http://{reachable}:{port}/healthz", timeout=5):
                break
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    # In one line, and the address at its end: whoever starts a server from a program reads that.
    print(f"whichone: {'web pages at /console/, ' if console else ''}serving http://{shown}:{port}", flush=True)
