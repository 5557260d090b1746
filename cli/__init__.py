"""The one command, `whichone`: its verbs, their options and their help, a family of verbs in each module.

Every verb imports the part that it needs when it runs, so that `whichone --help` is there at once. What a verb does
stands in `service.commands`, `service.demo`, `index.evaluation` and `training.commands`. Results go to stdout,
everything else to stderr; how a run ends is in `cli.ending`.
"""

from __future__ import annotations

import os
import sys

import typer

from cli import asking, audit, bundle, evaluation, feedback, gallery, installation, jobs, keys, protocols, training
from cli.ending import ended
from cli.options import STYLE

__all__ = ["app", "main"]

# Before NumPy is imported. A query's products are small: BLAS threads take longer to meet than to multiply, ten times
# so on a busy machine. ONNX Runtime and FAISS have threads of their own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

app = typer.Typer(
    name="whichone",
    help="Show it a photo: it says [b]which[/b] known thing this is, or that it does not know.",
    epilog="Start with [b]whichone demo[/b]. Every verb has examples: [b]whichone VERB --help[/b].",
    pretty_exceptions_enable=False,
    **STYLE,
)
for verbs in (asking.app, evaluation.app, training.app, installation.app, audit.app, jobs.worker):
    app.add_typer(verbs)
for name, verbs in {
    "index": gallery.app,
    "feedback": feedback.app,
    "protocol": protocols.app,
    "data": training.data_app,
    "jobs": jobs.app,
    "keys": keys.app,
    "bundle": bundle.app,
}.items():
    app.add_typer(verbs, name=name)


def main() -> None:
    """Run the command line and exit: 0 done, 2 a mistake (one line on stderr), 130 Ctrl-C."""
    sys.exit(ended(lambda: app(prog_name="whichone", standalone_mode=False)))
