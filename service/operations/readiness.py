"""Whether a request would be answered now: one check for each thing that it needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from embedding.errors import WhichoneError
from service.operations.shutdown import Shutdown
from service.workspace import Workspace

__all__ = ["Check", "checks"]

_TOLD = 5
"""Galleries that are named; more than these fail for one reason."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is needed.

    Attributes:
        name: `serving`, `model`, `database` or `galleries`.
        sentence: for people; names no address and no secret.
        code: of the error; None where all is well.
    """

    name: str
    sentence: str
    code: str | None = None

    @property
    def ok(self) -> bool:
        """Whether it is there."""
        return self.code is None


def checks(workspace: Workspace, shutdown: Shutdown) -> list[Check]:
    """Look at everything, with one SELECT or two. The queue is none of it: a photo too many is refused by itself, and
    a server that is taken out for it pushes its load on others."""
    return [_serving(shutdown), _model(workspace), *_stored(workspace)]


def _serving(shutdown: Shutdown) -> Check:
    if shutdown.began:
        return Check("serving", "the server is shutting down; requests under way are finished", "shutting_down")
    return Check("serving", "requests are taken")


def _model(workspace: Workspace) -> Check:
    if not workspace.started:
        return Check("model", "the model is being loaded", "starting")
    embedder = workspace.embedder.embedder
    return Check("model", f"{workspace.bundle.id} is loaded on {embedder.device} in {embedder.precision}")


def _stored(workspace: Workspace) -> Iterator[Check]:
    try:
        names = [row.name for row in workspace.galleries.rows()]
    except WhichoneError as error:
        yield Check("database", error.message, error.code)
        yield Check("galleries", "cannot be told without the database", error.code)
        return
    yield Check("database", "it answers")
    yield _galleries(workspace, names)


def _galleries(workspace: Workspace, names: list[str]) -> Check:
    """A generation's files are verified as it is opened, so what is in memory has been."""
    failures: list[tuple[str, WhichoneError]] = []
    for name in names:
        try:
            replica = workspace.galleries.replica(name)
            if replica.change < 0:  # made by another process since the start
                replica.catch_up()
        except WhichoneError as error:
            failures.append((name, error))
    if not failures:
        return Check("galleries", f"{len(names)} in memory, their generations verified")
    told = "; ".join(f"{name}: {error.message}" for name, error in failures[:_TOLD])
    more = f"; and {len(failures) - _TOLD} more" if len(failures) > _TOLD else ""
    return Check("galleries", told + more, failures[0][1].code)
