"""Recipes of environments as the script that does what they say."""

from __future__ import annotations

from picloud.wire import recipe as recipes
from picloud.wire.error import BadRequest


def script(recipe: str, base: str) -> bytes:
    """The script that ``picloud env build`` would have run, for who has no client: see :mod:`picloud.wire.recipe`.

    Args:
        base: what the environment begins with; a recipe may name it, but no other one.

    Raises:
        BadRequest: it is no recipe, says nothing to do, or is for another base.
    """
    try:
        plan = recipes.parsed(recipe)
    except ValueError as error:
        raise BadRequest(str(error), hint='lines such as: apt git, pip cowsay==6.1, run "make -C /opt/x"') from error
    if not (plan.apt or plan.pip or plan.run):
        raise BadRequest("the recipe has no step", hint="lines that begin with apt, pip or run")
    if plan.base and plan.base != base:
        raise BadRequest(f"the recipe begins with {plan.base[:80]}, the environment with {base}", hint="leave that line out")
    plan.base = base
    return recipes.script(plan).encode()
