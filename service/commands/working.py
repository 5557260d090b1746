"""`whichone worker`: imports, without a server."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack

from service.gallery.calibrator import Calibrator
from service.jobs.runner import JobRunner
from service.logs import make_log
from service.settings import Settings
from service.workspace import open_workspace

__all__ = ["run_worker"]


def run_worker(settings: Settings) -> None:
    """Work on imports until Ctrl-C or SIGTERM; photos in hand are finished first, and the job is given back.

    Raises:
        WhichoneError: it cannot start.
    """
    log = make_log(settings)
    end = threading.Event()
    with open_workspace(settings) as workspace, ExitStack() as working:
        workspace.start()
        for signal_ in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signal_, lambda *_: end.set())
        # Calibrates what it adds to, as there may be no server that would.
        for worker in (Calibrator(workspace.galleries, log), JobRunner(workspace, log)):
            worker.start()
            working.callback(worker.stop)
        print("whichone: working on imports", flush=True)
        end.wait()
