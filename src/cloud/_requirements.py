"""Python packages to install: lines of a requirements file, or the installed packages of the caller.

parse(text) -> ["numpy>=2", ...]
from_current() -> Current(lines, notes, version)
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
from collections.abc import Iterable
from typing import Any, NamedTuple

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_VERSION = r"(?:===|==|~=|!=|<=|>=|<|>)\s*[A-Za-z0-9.*+!_-]+"
_EXTRAS = r"\s*(?:\[[A-Za-z0-9._,\s-]*\])?\s*"
_MARKER = r"""(?:\s*;[ A-Za-z0-9._'"<>=!~(),+*-]+)?"""
_HASHES = r"(?:\s+--hash=sha(?:256|384|512):[0-9a-f]+)*"
REQUIREMENT = re.compile(
    rf"({_NAME}){_EXTRAS}(?:\(?{_VERSION}(?:\s*,\s*{_VERSION})*\)?|@\s*(?:https?|git\+https|git\+http)://[^\s;]+)?{_MARKER}{_HASHES}"
)
TOOLS = {"pip", "setuptools", "wheel", "picloud"}
"""In every environment anyway, each with its own."""


class Current(NamedTuple):
    """The caller's installed packages."""

    lines: list[str]  # requirement lines, sorted by name
    notes: list[str]  # what cannot be installed elsewhere as it is here, with advice
    version: str  # of the interpreter, "3.11"


def parse(text: str) -> list[str]:
    """The requirements of a file.

    Raises:
        ValueError: a line that an environment cannot be built from; it is named with its number.
    """
    found = []
    joined = re.sub(r"\\\n", " ", text)
    for number, line in enumerate(joined.splitlines(), 1):
        words = re.sub(r"(^|\s)#.*", "", line).strip()
        if words:
            found.append(check(" ".join(words.split()), f"line {number}: "))
    return found


def check(line: str, where: str = "") -> str:
    """A requirement as it is, if it is one.

    Raises:
        ValueError: it is none, or an option; ``where`` begins the text.
    """
    if line.startswith(("-e", "--editable")) or re.match(r"\.{0,2}/|file:", line):
        raise ValueError(f"{where}{line!r} is code on this machine: build a wheel and install it over picloud env ssh")
    if line.startswith("-"):
        raise ValueError(f"{where}{line!r} is an option of pip: name packages, one a line; indexes belong in /etc/pip.conf there")
    if not REQUIREMENT.fullmatch(line):
        raise ValueError(f"{where}{line!r} names no Python package, such as numpy, numpy>=2, pandas==3.1.1")
    return line


def normal(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def from_current(distributions: Iterable[importlib.metadata.Distribution] | None = None) -> Current:
    """What is installed beside the caller, each package with its version.

    Args:
        distributions: where to look; what this interpreter finds if not given.
    """
    lines: dict[str, str] = {}
    notes: list[str] = []
    for found in importlib.metadata.distributions() if distributions is None else distributions:
        name = str(found.metadata["Name"] or "") if found.metadata else ""  # a broken installation has none
        if name and normal(name) not in lines | dict.fromkeys(TOOLS):
            lines[normal(name)], note = _line(name, found.version, _origin(found))
            notes += [note] if note else []
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Current([lines[name] for name in sorted(lines) if lines[name]], notes, version)


def _line(name: str, version: str, origin: dict[str, Any]) -> tuple[str, str]:
    """The requirement, and a note where it is not simply a version of an index."""
    url = str(origin.get("url", ""))
    vcs: dict[str, Any] = dict[str, Any](origin.get("vcs_info") or ())
    if dict[str, Any](origin.get("dir_info") or ()).get("editable"):
        return (
            "",
            f"{name} is installed as editable from {url}: left out; code of yours travels with each job, or install a wheel",
        )
    if vcs:
        pinned = f"{name} @ {vcs.get('vcs')}+{url}@{vcs.get('commit_id')}"
        if REQUIREMENT.fullmatch(pinned):
            return (
                pinned,
                f"{name} comes from {url} at {str(vcs.get('commit_id'))[:12]}: built from there, which must be reachable",
            )
        return "", f"{name} comes from {url}, which an environment cannot reach: left out; install a wheel of it"
    if url.startswith("file:"):
        return f"{name}=={version}", f"{name} was installed from {url}: version {version} of the index is taken instead"
    if url:
        return f"{name} @ {url}", ""
    local = f"{name} {version} is a local version, which the usual index may not have" if "+" in version else ""
    return f"{name}=={version}", local


def _origin(found: importlib.metadata.Distribution) -> dict[str, Any]:
    try:
        said = json.loads(found.read_text("direct_url.json") or "{}")
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
