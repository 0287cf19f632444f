"""What lists of jobs can be filtered by, and what that would leave: for the menus and counts above a list."""

from __future__ import annotations

from typing import TypedDict

from picloud.server.api.job import Page
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import operation
from picloud.store import filter as filters


class Counted(TypedDict):
    """How many of the jobs that fit; what there is none of is left out."""

    states: dict[str, int]
    causes: dict[str, int]  # of those that failed


class Choices(TypedDict):
    """What the account's jobs were called and what they ran on: at most 1000 names of each sort, the ones that came last."""

    functions: list[str]
    labels: list[str]
    queues: list[str]
    core_types: list[str]
    envs: list[str]


@operation(query=Page, answer=Counted)
async def count(control: Control, request: Request) -> None:
    """GET /v1/job/count, with the query of GET /v1/job: how many jobs that fit are in which state, and failed for which cause"""
    found = await control.storage.read(filters.counts, request.principal.account, request.asked(Page).choice())
    await request.json({"states": found.states, "causes": found.causes})


@operation(answer=Choices)
async def choices(control: Control, request: Request) -> None:
    """GET /v1/job/choice: names by which jobs can be filtered"""
    found = await control.storage.read(filters.choices, request.principal.account)
    await request.json(found._asdict())
