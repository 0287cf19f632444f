"""Every shell block of guides that say so runs with the real curl, and prints what stands behind it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.house.test_documents import MARK, ROOT, blocks

GUIDES = [ROOT / "docs" / "guides" / "http.md"]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda page: page.stem)
def test_shell_blocks_run_and_print_what_follows_them(guide: Path, server: Any, tmp_path: Path) -> None:
    """In a block marked ``output``, .. stands for anything."""
    found = blocks(guide)
    script = "\n".join(f"echo; echo '{MARK}'\n{text}" for language, text in found if language == "sh")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={**os.environ, "PICLOUD": server.url, "AUTH": f"{server.key}:{server.secret}", "PATH": _path(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    printed = iter(done.stdout.split(MARK + "\n")[1:])
    for (language, text), (follows, expected) in zip(found, [*found[1:], ("", "")], strict=True):
        if language == "sh":
            output = next(printed)
            if follows == "output":
                _compare(output, expected, text)


def _compare(output: str, expected: str, text: str) -> None:
    """Line by line; answers do not end with a line feed, so that they may follow each other on one."""
    shape = r"\s*".join(re.escape(line.strip()).replace(r"\.\.", ".*?") for line in expected.strip().splitlines())
    assert re.fullmatch(rf"\s*{shape}\s*", output, re.DOTALL), f"{text}\nprinted:\n{output}\nwhere it should print:\n{expected}"


def _path(folder: Path) -> str:
    """One on which python3 is this interpreter."""
    assert shutil.which("curl"), "the guide is for curl: scripts/system-packages installs it"
    (folder / "bin").mkdir()
    python = folder / "bin" / "python3"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return f"{python.parent}:{os.environ['PATH']}"
