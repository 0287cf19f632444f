"""The OpenAPI document: no public route is left out of it, and it is one."""

from __future__ import annotations

from typing import Any

import pytest
from openapi_spec_validator import validate

from picloud.server.document import document
from picloud.server.operation import declared
from picloud.server.route import Access, Route
from picloud.server.routes import ROUTES

PUBLIC = [route for route in ROUTES if route.access.public]


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    return document(ROUTES)


@pytest.mark.parametrize("route", PUBLIC, ids=lambda r: f"{r.method} {r.path}")
def test_a_public_route_declares_what_it_takes_and_answers(route: Route) -> None:
    assert declared(route.handler), "put @operation(body=, query=, answer=, raises=) above its handler; see docs/explain/http.md"


def test_the_document_is_valid(whole: dict[str, Any]) -> None:
    validate(whole)


def test_all_public_routes_are_in_it_and_no_others(whole: dict[str, Any]) -> None:
    found = {(method.upper(), path) for path, methods in whole["paths"].items() for method in methods}
    assert found == {(route.method, route.path.replace("{end}", "")) for route in PUBLIC}
    assert not any(path.startswith(("/v1/worker", "/v1/edge")) for path in whole["paths"])


def test_operations_have_names_words_scopes_and_errors(whole: dict[str, Any]) -> None:
    told = [(path, one) for path, methods in whole["paths"].items() for one in methods.values()]
    names = [one["operationId"] for _, one in told]
    assert len(set(names)) == len(names)
    for path, one in told:
        assert one["summary"], path
        assert {"400", "403", "503"} <= set(one["responses"]), path
        assert ("401" in one["responses"]) == bool(one["security"]) or path.startswith("/v1/login") or not one["security"], path
    assert whole["paths"]["/v1/queue/push"]["post"]["security"] == [{"key": ["queue"]}, {"session": ["queue"]}]


def test_a_route_whose_handler_declares_nothing_stops_the_document() -> None:
    async def handler() -> None:
        """GET /v1/none"""

    with pytest.raises(TypeError, match="declares no operation"):
        document([Route("GET", "/v1/none", handler)])
    assert document([Route("GET", "/v1/none", handler, Access.worker)])["paths"] == {}
