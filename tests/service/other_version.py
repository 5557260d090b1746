"""Other versions of this program, to run beside this one: trees of files, and servers started from them.

The release before is the newest tag `v*` in the history before this commit. Where there is none yet, the last commit
before today's newest migration stands for it. The next release is this tree and one migration more.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import harness
import pytest
from alembic.script import ScriptDirectory

PARTS = ("cli", "embedding", "index", "service")
VERSIONS = Path("service/migrations/versions")
HEAVY = "embedding/bundles/default/*.onnx"

NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("notes", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("text", sa.String(20)))
    op.add_column("items", sa.Column("colour", sa.String(20), nullable=True))
    op.add_column("galleries", sa.Column("motto", sa.String(20), nullable=False, server_default="none"))
    op.add_column("calibrations", sa.Column("colour", sa.String(20), nullable=True))
    op.create_index("ix_items_colour", "items", ["colour"])
"""


@dataclass(frozen=True)
class Version:
    """A tree of files with a program in it.

    Attributes:
        released: whether it is a release, or this one, which becomes one: others promise nothing to each other.
    """

    tree: Path
    released: bool

    @cached_property
    def revisions(self) -> list[str]:
        """Those of the database that it knows, newest first."""
        script = ScriptDirectory(str(self.tree / "service/migrations"))
        return [one.revision for one in script.walk_revisions()]

    @property
    def head(self) -> str:
        return self.revisions[0]

    def start(self, data: Path, bundle: Path, database: str | None) -> harness.Server:
        """A server of it, when it says its address. Its warnings are no errors: libraries may be newer than it is."""
        log = data.parent / f"{self.tree.name}-{time.monotonic_ns()}.log"
        with log.open("w") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "service"],
                env=self._environment(data, bundle, database),
                cwd=self.tree,
                text=True,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        assert process.stdout is not None
        said = next((line for line in process.stdout if "serving http" in line), "")
        process.stdout.close()
        assert said, f"it ended with {process.wait()}:\n{log.read_text()[-4000:]}"
        return harness.Server(process, log, said.split()[-1], harness.ADMIN)

    def run(self, *command: str, data: Path, bundle: Path, database: str | None) -> subprocess.CompletedProcess[str]:
        """Run `python ...` in it until it ends."""
        return subprocess.run(
            [sys.executable, *command],
            env=self._environment(data, bundle, database),
            cwd=self.tree,
            capture_output=True,
            text=True,
            timeout=harness.DEADLINE,
            check=False,
        )

    def _environment(self, data: Path, bundle: Path, database: str | None) -> dict[str, str]:
        settings = harness.environment(data, bundle, admin_key=harness.ADMIN, database_url=database)
        return settings | {"PYTHONPATH": str(self.tree), "PYTHONWARNINGS": "default"}


def this_one() -> Version:
    """The tree that is tested."""
    return Version(harness.ROOT, released=True)


def release_before(folder: Path) -> Version:
    """The release before, exported from git into a folder that is not there yet; skips where it cannot be had."""
    tag = _git("describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD^")
    commit = tag or _before_the_newest_migration()
    folder.mkdir()
    archive = folder / "tree.tar"
    parts = [".", f":(exclude){HEAVY}"]
    subprocess.run(["git", "archive", f"--output={archive}", commit, *parts], cwd=harness.ROOT, check=True)
    subprocess.run(["tar", "-xf", archive, "-C", folder], check=True)
    archive.unlink()
    return Version(folder, released=bool(tag))


def next_release(folder: Path, *, fitting: bool = True) -> Version:
    """This tree and one migration more, made in a folder that is not there yet.

    Args:
        fitting: whether the migration says that this program can work on its database.
    """
    head = this_one().head
    for part in PARTS:
        skipped = shutil.ignore_patterns("__pycache__", Path(HEAVY).name)
        shutil.copytree(harness.ROOT / part, folder / part, ignore=skipped)
    revision = f"9001_fits_{head[:4] if fitting else '9001'}"
    (folder / VERSIONS / "v9001_next.py").write_text(NEXT.format(revision=revision, head=head))
    return Version(folder, released=True)


def _before_the_newest_migration() -> str:
    if _git("rev-parse", "--is-shallow-repository") != "false":
        pytest.skip("the release before is not in this clone: `git fetch --unshallow --tags` fetches it")
    newest = re.compile(rf"^revision = \"{this_one().head}\"$", re.MULTILINE)
    [file] = [path for path in (harness.ROOT / VERSIONS).glob("*.py") if newest.search(path.read_text())]
    came = _git("log", "--diff-filter=A", "--format=%H", "-1", "--", str(file.relative_to(harness.ROOT)))
    return f"{came}^" if came else "HEAD"


def _git(*arguments: str) -> str:
    """What git says; nothing where it fails, or is not there."""
    try:
        done = subprocess.run(["git", *arguments], cwd=harness.ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
