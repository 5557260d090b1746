"""What the calls of this package answer."""

from __future__ import annotations

from pydantic import BaseModel

from service.problems import Problem

__all__ = ["CheckAnswer", "Health", "NotReady", "Readiness", "VersionAnswer"]


class Health(BaseModel):
    """The process answers."""

    status: str


class CheckAnswer(BaseModel):
    """One thing that a request needs, and whether it is there."""

    name: str
    ok: bool
    sentence: str


class Readiness(BaseModel):
    """Model loaded, database answering, galleries in memory."""

    status: str
    model: str
    galleries: int
    checks: list[CheckAnswer]


class NotReady(Problem):
    """What is missing; `code` is that of the first check that fails."""

    checks: list[CheckAnswer]


class VersionAnswer(BaseModel):
    """What runs here. `model_sha256` is the identity of the bundle."""

    version: str
    model: str
    model_sha256: str
    device: str
    precision: str
