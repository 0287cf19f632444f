"""Names of scopes and roles."""

from __future__ import annotations

import pytest

from picloud.wire.error import BadRequest
from picloud.wire.scope import EVERYTHING, USUAL, Role, Scope, role_of, scopes_of, spelled


def test_names_and_numbers_are_the_same_thing() -> None:
    assert spelled(EVERYTHING) == ["jobs", "code", "bucket", "queue", "read", "admin"]
    assert scopes_of(spelled(EVERYTHING)) == EVERYTHING == 63, "rows say so"
    assert scopes_of(["read", "jobs", "read"]) == Scope.read | Scope.jobs
    assert Scope.admin == EVERYTHING & ~USUAL
    assert [role_of(role.name) for role in Role] == [Role.member, Role.admin, Role.owner]


@pytest.mark.parametrize("names", [[], ["all"], ["jobs", ""], ["__class__"], ["EVERYTHING"]])
def test_what_is_no_scope(names: list[str]) -> None:
    with pytest.raises(BadRequest):
        scopes_of(names)


@pytest.mark.parametrize("name", ["", "none", "Owner", "3"])
def test_what_is_no_role(name: str) -> None:
    with pytest.raises(BadRequest):
        role_of(name)
