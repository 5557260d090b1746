"""How a run of the command ends: 0 done, 2 a mistake (one line on stderr), 130 Ctrl-C (0 for a stopped server)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import typer

__all__ = ["INTERRUPTED", "MISTAKE", "ended"]

MISTAKE = 2
INTERRUPTED = 130


def ended(run: Callable[[], Any]) -> int:
    """Run the command; its exit code. A verb's own code comes back from `run`, or as SystemExit."""
    try:
        code = run()
        sys.stdout.flush()  # here, where a reader that left can be told from a mistake
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        code = _reader_left()
    except SystemExit as end:  # Click answers a broken pipe with exit code 1 by itself
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        code = _reader_left()
    except Exception as error:
        code = _explain(error)
    return code if isinstance(code, int) else 0


def _reader_left() -> int:
    """`whichone index list | head` is no mistake: what is left to say goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _explain(error: Exception) -> int:
    """One line for what the user can mend; anything else is a fault of ours and keeps its traceback."""
    from embedding.errors import WhichoneError

    if isinstance(error, WhichoneError):
        message = error.message
    elif hasattr(error, "format_message"):  # a usage error; Typer has its own classes or Click's, by version
        if type(error).__name__ == "NoArgsIsHelpError":
            return MISTAKE  # the help is printed already
        hint = _help_hint(getattr(error, "ctx", None))
        message = f"{error.format_message().rstrip('.')}{hint}"
    else:
        raise error
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return MISTAKE


def _help_hint(context: Any) -> str:
    return f"; see {context.command_path} --help" if context is not None else ""
