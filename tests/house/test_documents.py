"""Every Python block of the README and the docs runs, in order, page by page; every link and command in them exists."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests.conftest import Server, serving

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", ROOT / "bench" / "README.md"]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELL = ("sh", "console")
MARK = "--- output of the next block ---"


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of each fenced block."""
    return BLOCK.findall(page.read_text())


def named(pages: list[Path]) -> list[object]:
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in pages]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of its own: what pages list is theirs alone, whatever tests ran before."""
    with serving() as made:
        yield made


WITH_PYTHON = [page for page in PAGES if any(language == "python" for language, _ in blocks(page))]


@pytest.mark.slow
@pytest.mark.parametrize("page", named(WITH_PYTHON))
def test_python_blocks_run_and_print_what_follows_them(page: Path, server: object, tmp_path: Path) -> None:
    """A block marked ``output`` is what the Python block right before it prints."""
    found = blocks(page)
    script = tmp_path / "page.py"
    script.write_text("\n".join(f"print({MARK!r})\n{text}" for language, text in found if language == "python"))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=150, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    printed = iter(done.stdout.split(MARK + "\n")[1:])
    for index, (language, _) in enumerate(found):
        if language == "python":
            output = next(printed)
            if index + 1 < len(found) and found[index + 1][0] == "output":
                assert output.split() == found[index + 1][1].split()


@pytest.mark.parametrize("page", named(PAGES))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not re.match(r"https?:|mailto:|#", target):
            assert (page.parent / target.split("#")[0]).exists(), target


@pytest.mark.parametrize("page", named(PAGES))
def test_commands_in_shell_blocks_exist(page: Path) -> None:
    for language, text in blocks(page):
        for line in text.splitlines() if language in SHELL else ():
            for words in re.findall(r"(?:^|[;&|]\s*|\s)(?:\.venv/bin/)?picloud ((?:[^|;&#]|&&)*)", line.split("#")[0]):
                assert_command(words.split())


def assert_command(words: list[str]) -> None:
    """The words name a command, and each of its flags is one of that command or of picloud itself."""
    from picloud.cli.main import picloud

    context = click.Context(picloud, info_name="picloud")
    flags, command = flags_of(picloud), picloud
    for word in [word for word in words if not word.startswith("-")]:
        if not isinstance(command, click.Group):
            break
        found = command.get_command(context, word)
        assert found, f"no command {word!r} in: picloud {' '.join(words)}"
        command = found
        flags |= flags_of(command)
    own = words if not any(p.name == "words" for p in command.params) else []  # else they are of somebody else's command
    for word in own:
        if word.startswith("--"):
            assert word.split("=")[0] in flags, f"no flag {word} in: picloud {' '.join(words)}"


def flags_of(command: click.Command) -> set[str]:
    return {"--help"} | {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
