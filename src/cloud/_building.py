"""Building an environment without a hand on it: a setup server in which a script runs, and then a save."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from cloud import _setup, environment
from cloud._recipe import Plan, parsed, script
from picloud.wire.error import CloudException, NotFound


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
