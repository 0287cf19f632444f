"""Building an environment without a hand on it: a setup server in which a script runs, and then a save."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlencode

from cloud import _requirements, _setup, environment
from picloud.wire.error import CloudException, NotFound
from picloud.wire.recipe import Plan, parsed, script

_APT_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+(?::[a-z0-9-]+)?(?:=[A-Za-z0-9.+:~-]+)?")


def plan(requirements: str | Iterable[str] | None, from_current: bool, apt: Iterable[str], run: Iterable[str]) -> Plan | None:
    """The plan of what a caller asks for; None where that is nothing.

    Raises:
        ValueError: a list holds something else than texts, or what is no package.
    """
    text = "\n".join(requirements) if requirements is not None and not isinstance(requirements, str) else requirements
    made = Plan("", _texts("apt", apt), _requirements.parse(text or ""), _texts("run", run))
    for name in made.apt:
        if not _APT_NAME.fullmatch(name):
            raise ValueError(f"{name!r} names no Debian package, such as git or git=1:2.39.5-0+deb12u2")
    if from_current:
        current = _requirements.from_current()
        made.pip += current.lines
        for note in current.notes:
            print(f"cloud: {note}", file=sys.stderr)
    return made if made.apt or made.pip or made.run else None


def _texts(word: str, values: Iterable[str]) -> list[str]:
    found = [values] if isinstance(values, str) else list(values)
    for value in found:
        if not isinstance(value, str) or not value.strip() or "\0" in value:
            raise ValueError(f"{word} must list texts, not {value!r}")
    return found


def build(name: str, base: str | None, plan: Plan | None, progress: Callable[[str], object] | None) -> dict[str, Any]:
    """See ``cloud.environment.build``. ``plan``: None = by the environment's own recipe."""
    there = _there(name)
    if plan is None:
        text = environment.recipe(name) if there and there["version"] else ""
        if not text.strip():
            raise ValueError("there is nothing to build: give requirements, from_current, apt, run or lock")
        plan = parsed(text)
    plan.base = _setup.base(base or plan.base or (there["base"] if there else environment.HOST))
    if there and there["base"] != plan.base:
        raise ValueError(f"environment {name!r} begins with {there['base']}: delete it, or build one of another name")
    if there:
        _setup.ask("POST", "/modify", {"name": name, "fresh": True} | _setup.token())
        environment.wait_for_edit(name)
    else:
        environment.create(name, plan.base)
    try:
        _setup.run(name, script(plan).encode(), f"the build of {name!r}", root=True, tell=progress)
        environment.save_shutdown(name)
    except BaseException:
        _give_up(name, remove=there is None)
        raise
    return environment.versions(name)[0]


def _there(name: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = _setup.ask("GET", "?" + urlencode({"name": _setup.text("name", name)}))["environments"][0]
    except NotFound:
        return None
    return found


def _give_up(name: str, remove: bool) -> None:
    """After a failed build: what it was building goes away; the failure itself is told by the caller."""
    try:
        environment.shutdown(name)
        if remove:
            environment.delete(name)
    except CloudException as error:
        print(f"cloud: environment {name!r} is left as it is: {error.parameter}", file=sys.stderr)
