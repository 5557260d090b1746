"""The README's commands work: every fenced block that is marked to be run is run, in order, and must succeed.

    ```bash run            a script; it must end with exit status 0
    ```bash run server     a server; the blocks after it run while it does, and it must end cleanly on Ctrl-C

They run in a folder that holds `photos/` (one sub-folder a label), `query.jpg` (one of those things again) and
`stranger.jpg` (none of them), with an empty WHICHONE_DATA and an admin key in WHICHONE_ADMIN_KEY. Port 8000 in the text
becomes a free one.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from embedding.rephotograph import rephotograph

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
FENCE = re.compile(r"^```bash run( server)?[ ]*\n(.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block that is to be run."""

    script: str
    is_server: bool


def blocks_of(text: str) -> list[Block]:
    """The marked blocks of a Markdown text, in order."""
    return [Block(match[2], bool(match[1])) for match in FENCE.finditer(text)]


def test_marked_blocks_are_found_and_others_are_not():
    text = "```bash\nmake demo\n```\ntext\n```bash run\na\nb\n```\n```bash run server\nserve\n```\n```json\n{}\n```\n"
    assert blocks_of(text) == [Block("a\nb\n", False), Block("serve\n", True)]


@pytest.fixture
def place(tmp_path):
    """The folder that the commands run in, and their environment."""
    skimage = pytest.importorskip("skimage", reason="the README's photos come with the extra demo")
    shipped = Path(skimage.__file__).parent / "data"
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        [source] = shipped.glob(f"{name}.*")
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        (folder / source.name).write_bytes(source.read_bytes())
    coffee = Image.open(shipped / "coffee.png").convert("RGB")
    rephotograph(coffee, seed=1).save(tmp_path / "query.jpg", quality=95)
    Image.open(shipped / "moon.png").convert("RGB").save(tmp_path / "stranger.jpg", quality=95)
    return tmp_path


@pytest.fixture
def environment(place):
    """As a reader's shell: `whichone` and `python` on the path."""
    programs = place / ".bin"
    programs.mkdir()
    shim = f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} -m cli "$@"\n'
    (programs / "whichone").write_text(shim)
    (programs / "whichone").chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WHICHONE_")}
    path = f"{programs}:{Path(sys.executable).parent}:{kept['PATH']}"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    return {
        **kept,
        "PATH": path,
        "WHICHONE_DATA": str(place / "data"),
        "WHICHONE_ADMIN_KEY": "the-readme-s-admin-key",
        "WHICHONE_PORT": port,
    }


def run_blocks(blocks, place, environment):
    """Run them all; what goes wrong is an assertion that shows the block and what it said."""
    servers = []
    port = environment["WHICHONE_PORT"]
    try:
        for block in blocks:
            script = "set -euo pipefail\n" + block.script.replace(":8000", f":{port}")
            arguments = {"cwd": place, "env": environment, "stdin": subprocess.DEVNULL}
            if block.is_server:
                # A group of its own, so that Ctrl-C reaches the server and not only the shell around it.
                servers.append(subprocess.Popen(["bash", "-c", script], start_new_session=True, **arguments))
                _wait_until_ready(servers[-1], port)
            else:
                done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, **arguments)
                assert done.returncode == 0, f"{block.script}\n{done.stdout}\n{done.stderr}"
    finally:
        ended = [_interrupt(server) for server in servers]
    assert all(status in (0, 130, -signal.SIGINT) for status in ended), ended


def _wait_until_ready(server, port):
    for _ in range(600):
        assert server.poll() is None, f"the server ended with {server.returncode}"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        try:
            server.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
    pytest.fail("the server did not become ready")


def _interrupt(server):
    os.killpg(server.pid, signal.SIGINT)
    try:
        return server.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        return server.wait()


def test_blocks_run_as_they_would_for_a_reader(place, environment):
    """The test of the test: a server, a question over HTTP, and a script that fails."""
    blocks = blocks_of(
        "```bash run\nwhichone index add photos\n```\n"
        "```bash run server\nwhichone serve\n```\n"
        "```bash run\ncurl -fsS -F image=@query.jpg http://127.0.0.1:8000/recognize | grep -q coffee\n```\n"
    )
    run_blocks(blocks, place, environment)
    with pytest.raises(AssertionError, match="no such file"):
        run_blocks([Block("whichone index add nowhere -l x\n", False)], place, environment)


def test_the_readme(place, environment):
    if not README.is_file():
        pytest.skip("there is no README.md yet")
    blocks = blocks_of(README.read_text(encoding="utf-8"))
    assert blocks, "the README marks no command with ```bash run"
    run_blocks(blocks, place, environment)
