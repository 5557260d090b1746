"""`whichone doctor`: what is installed, what works, and what to do about what does not."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rich.markup import escape
from rich.table import Table

from embedding.errors import WhichoneError
from service.commands.terminal import print_json, stdout
from service.settings import Settings

__all__ = ["Finding", "examine", "show_findings", "show_version"]

Level = Literal["ok", "note", "problem"]
LOW_DISK = 2**30
"""Bytes free under which photos soon have no room."""


@dataclass(frozen=True)
class Finding:
    """One thing looked at: how it is, and what to do if that is not well."""

    area: str
    level: Level
    text: str
    remedy: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def examine(settings: Settings) -> list[Finding]:
    """Look at everything. Never raises for what it finds; changes nothing on disk."""
    return [
        Finding("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        *_packages(),
        *_guarded("devices", _devices),
        *_guarded("bundle", lambda: _bundle(settings)),
        *_guarded("data", lambda: _data(settings)),
    ]


def _guarded(area: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    # A doctor that dies of the illness helps nobody: whatever breaks here is a finding.
    try:
        yield from look()
    except WhichoneError as error:
        yield Finding(area, "problem", error.message)
    except (ImportError, OSError) as error:
        yield Finding(area, "problem", f"{type(error).__name__}: {error}", "see `packages` above")


# ---------------------------------------------------------------- packages


def _packages() -> Iterator[Finding]:
    required, extras = _requirements()
    for name in required:
        version = _version(name)
        if version is None:
            yield Finding("packages", "problem", f"{name} is not installed", f"pip install '{name}'")
        else:
            yield Finding("packages", "ok", f"{name} {version}")
    for extra, names in extras.items():
        present = [f"{name} {version}" for name in names if (version := _version(name))]
        absent = [name for name in names if _version(name) is None]
        remedy = f"pip install 'whichone[{extra}]'" if absent else ""
        text = ", ".join(present) if present else "not installed"
        if present and absent:
            text += f"; absent: {', '.join(absent)}"
        yield Finding(f"extra {extra}", "ok" if not absent else "note", text, remedy)


def _requirements() -> tuple[list[str], dict[str, list[str]]]:
    """Names of what Whichone needs, and of each extra, from its own metadata."""
    required: list[str] = []
    extras: dict[str, list[str]] = {}
    try:
        lines = importlib.metadata.requires("whichone") or []
    except importlib.metadata.PackageNotFoundError:
        return [], {}
    for line in lines:
        match = re.match(r"[A-Za-z0-9._-]+", line)
        extra = re.search(r"extra == ['\"]([^'\"]+)['\"]", line)
        if match and extra:
            extras.setdefault(extra.group(1), []).append(match.group())
        elif match:
            required.append(match.group())
    return required, extras


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


# ---------------------------------------------------------------- devices, bundle, data


def _devices() -> Iterator[Finding]:
    for module, pair in (("onnxruntime", "onnxruntime-gpu"), ("faiss", "faiss-gpu-cu12")):
        cpu, gpu = ("onnxruntime", pair) if module == "onnxruntime" else ("faiss-cpu", pair)
        if _version(cpu) and _version(gpu):
            remedy = f"pip uninstall {cpu} {gpu}, then install the one you want"
            yield Finding("devices", "problem", f"{cpu} and {gpu} are both installed and overwrite each other", remedy)
    try:
        import onnxruntime  # noqa: PLC0415  (its absence is a finding, not a crash)
    except ImportError:
        yield Finding("devices", "problem", "ONNX Runtime is not installed", "pip install 'whichone[cpu]', or [gpu]")
        return
    providers = onnxruntime.get_available_providers()
    yield Finding("devices", "ok", f"ONNX Runtime providers: {', '.join(providers)}")
    if "CUDAExecutionProvider" not in providers:
        remedy = "pip install 'whichone[gpu]' in an environment of its own, then WHICHONE_DEVICE=cuda"
        yield Finding("devices", "note", "no CUDA: photos are embedded on the CPU", remedy)


def _bundle(settings: Settings) -> Iterator[Finding]:
    from embedding.bundle import Bundle  # noqa: PLC0415

    bundle = Bundle.open(settings.bundle)
    size = sum(path.stat().st_size for path in bundle.folder.iterdir())
    yield Finding("bundle", "ok", f"{bundle.id}, {bundle.manifest.dim} numbers a photo, {size / 1e6:.1f} MB, verified")


def _data(settings: Settings) -> Iterator[Finding]:
    folder = settings.data
    existing = next(path for path in [folder, *folder.absolute().parents] if path.exists())
    free = shutil.disk_usage(existing).free
    level: Level = "ok" if free >= LOW_DISK else "problem"
    yield Finding(
        "data", level, f"{free / 1e9:.1f} GB free", "" if level == "ok" else "make room, or move WHICHONE_DATA"
    )
    if not folder.exists():
        remedy = "`whichone index add FOLDER` or `whichone serve` makes it; `whichone demo` fills one for a try"
        yield Finding("data", "note", f"{folder} does not exist yet", remedy)
        return
    if not folder.is_dir():
        yield Finding("data", "problem", f"{folder} is a file", "set WHICHONE_DATA (or --data) to a folder")
        return
    yield from _contents(folder)


def _contents(folder: Path) -> Iterator[Finding]:
    if not os.access(folder, os.W_OK):
        yield Finding("data", "problem", f"{folder} cannot be written to", f"chown or chmod it for user {os.getuid()}")
    yield Finding("data", "ok", f"data folder {folder}")


# ---------------------------------------------------------------- showing


def show_findings(settings: Settings, *, as_json: bool) -> bool:
    """Print all findings; True if one of them is a problem."""
    findings = examine(settings)
    problems = [finding for finding in findings if finding.level == "problem"]
    if as_json:
        print_json({"problems": len(problems), "findings": [finding.to_json() for finding in findings]})
        return bool(problems)
    marks = {"ok": "[green]ok[/green]", "note": "[yellow]note[/yellow]", "problem": "[red]problem[/red]"}
    table = Table("", "area", "found", "what to do")
    for finding in findings:
        table.add_row(marks[finding.level], *map(escape, (finding.area, finding.text, finding.remedy)))
    stdout().print(table)
    stdout().print(f"{len(problems)} problem(s)." if problems else "All is well.")
    return bool(problems)


def show_version(*, as_json: bool) -> None:
    """Print Whichone's version and Python's."""
    version = _version("whichone") or "not installed as a package"
    if as_json:
        print_json({"whichone": version, "python": platform.python_version()})
    else:
        stdout().print(f"whichone {version} (Python {platform.python_version()})")
