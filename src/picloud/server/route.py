"""What a route is, and how the one that a request is for is found."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import NamedTuple

from picloud.server.paths import pattern
from picloud.server.scopes import ADMIN, Scopes
from picloud.wire.error import NotFound

Handler = Callable[..., Awaitable[None]]


class Access(Enum):
    """Who may use a route."""

    anyone = "no key"
    page = "a browser"
    account = "an API key, or a running job"
    worker = "a live worker"
    edge = "the edge process"

    @property
    def keyed(self) -> bool:
        """Whether it is asked with a key, a login's token, or by a job."""
        return self is Access.account

    @property
    def internal(self) -> bool:
        """Whether only our own processes ask it."""
        return self in (Access.worker, Access.edge)

    @property
    def public(self) -> bool:
        """Whether it is part of the public API."""
        return self in (Access.anyone, Access.account)


class Route(NamedTuple):
    method: str
    path: str  # {name} stands for one part, {end} for a slash that may be left out
    handler: Handler
    access: Access = Access.account
    scope: Scopes = ADMIN  # a key needs all of one of these
    view: bool = False  # it answers JSON at once, and pages may watch it; see server.views
    personal: bool = False  # it answers each user, key or session of an account something else


class Table:
    """Routes, by what a request asks for."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = routes
        self._exact = {(one.method, one.path): one for one in routes if "{" not in one.path}
        self._patterns = [(one.method, pattern(one.path), one) for one in routes if "{" in one.path]

    def find(self, method: str, path: str) -> tuple[Route, tuple[str, ...]]:
        """The route, and the parts of the path that stand for something.

        Raises:
            NotFound: there is none.
        """
        route = self._exact.get((method, path))
        if route is not None:
            return route, ()
        for known, shape, candidate in self._patterns:
            found = shape.fullmatch(path) if known == method else None
            if found:
                return candidate, found.groups()
        raise NotFound(f"no route {method} {path[:200]}", hint="see docs/reference/http.md")
